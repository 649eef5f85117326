/*
 * secret.js
 *	  A secret on the screen: for 30 seconds, and then it is gone.
 */
import {post} from './api.js';
import {button, code, dialog, fill, h, toast} from './dom.js';
import {durationField} from './fields.js';
import {form} from './form.js';

const SECONDS = 30;

function shown(secret, close, signal)
{
	const left = h('p', {class: 'help'});
	let rest = SECONDS;
	const count = () =>
	{
		fill(left, `It disappears in ${rest} seconds. That it was shown is recorded.`);
		if (rest-- <= 0)
			close();
	};
	const timer = setInterval(count, 1000);
	signal.addEventListener('abort', () => clearInterval(timer));
	count();
	return [code(secret, 'the secret'), left, h('div', {class: 'actions end'},
		button('Hide', () => close(), 'primary'))];
}

/* A dialog with a secret; ask() gets it. */
export function showSecret(title, secret)
{
	const over = new AbortController();
	return dialog(title, close => shown(secret, close, over.signal)).finally(() => over.abort());
}

export async function reveal(subscription)
{
	const {result} = await post('secret', {subscription});
	await showSecret(`Secret of subscription ${subscription}`, result);
}

/* Asks how long the former secret goes on signing, and shows the new one. */
export async function rotate(subscription)
{
	const secret = await dialog(`Rotate the secret of subscription ${subscription}`, close =>
	{
		const overlap = durationField({label: 'Sign with the former secret, too, for',
			name: 'overlap', value: '24:00:00',
			help: 'So the receiver has time to change over.'});
		return form({class: 'editor'}, async () =>
		{
			const {result} = await post('rotate_secret',
				{subscription, overlap: overlap.value() || '0 seconds'});
			close(result);
		}, overlap, h('div', {class: 'actions end'}, button('Keep as it is', () => close(null)),
			h('button', {class: 'button primary'}, 'Rotate')));
	});
	if (!secret)
		return;
	toast('The secret is rotated.');
	await showSecret('The new secret', secret);
}
