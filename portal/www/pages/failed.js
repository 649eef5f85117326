import {heading} from '../dom.js';
export async function failed() { return heading('failed'); }
