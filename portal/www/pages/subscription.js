import {heading} from '../dom.js';
export async function subscription() { return heading('subscription'); }
