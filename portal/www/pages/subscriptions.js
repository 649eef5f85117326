import {heading} from '../dom.js';
export async function subscriptions() { return heading('subscriptions'); }
