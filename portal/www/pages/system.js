import {heading} from '../dom.js';
export async function system() { return heading('system'); }
