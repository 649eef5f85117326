/*
 * verify.js
 *	  Code for receivers: how to verify a signature, as docs/receivers.md has it.
 */
import {code, h} from './dom.js';
import {samples} from './samples.js';

export function verifyCode()
{
	return h('section', {class: 'card'},
		h('h2', {}, 'Verify a request'),
		h('p', {class: 'about'},
			'A receiver verifies the signature over the body as it came, byte for byte, before it reads the JSON.'),
		samples.map(([name, text], place) =>
			h('details', {open: place === 0}, h('summary', {}, name), code(text, `${name} code`, 'snippet'))));
}
