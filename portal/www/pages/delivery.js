import {heading} from '../dom.js';
export async function delivery() { return heading('delivery'); }
