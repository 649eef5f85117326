import {heading} from '../dom.js';
export async function audit() { return heading('audit'); }
