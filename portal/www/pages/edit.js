import {heading} from '../dom.js';
export async function edit() { return heading('edit'); }
