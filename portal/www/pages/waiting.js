import {heading} from '../dom.js';
export async function waiting() { return heading('waiting'); }
