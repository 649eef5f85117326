import {heading} from '../dom.js';
export async function logs() { return heading('logs'); }
