import {heading} from '../dom.js';
export async function events() { return heading('events'); }
