import {heading} from '../dom.js';
export async function dashboard() { return heading('dashboard'); }
