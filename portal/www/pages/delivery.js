/*
 * pages/delivery.js
 *	  One event on its way to one subscription: what became of it, and each attempt.
 */
import {get, look, post} from '../api.js';
import {badge, button, code, confirm, dialog, duration, fill, h, heading, sentence, time} from '../dom.js';
import {asCurl, exchange} from '../exchange.js';
import {problem} from '../form.js';
import {live} from '../live.js';
import {link, refresh} from '../route.js';
import {perform} from './waiting.js';

/* What was sent and answered, and what can be done with it. */
function contents(call, can, subscription, event)
{
	const tools = call.method && call.request_body !== null && h('div', {class: 'actions'},
		button('Copy as curl', () => dialog('The request as a command', close => [
			h('p', {class: 'help'}, 'Credentials are not in the log; they read ***.'),
			code(asCurl(call), 'the command'),
			h('div', {class: 'actions end'}, button('Close', () => close(), 'primary'))], 'large'),
				'small'),
		can('secret') && button('Check signature', async event_ =>
		{
			const pressed = event_.currentTarget;
			pressed.disabled = true;
			try
			{
				const {result} = await post('verify', {event, subscription: Number(subscription),
					position: call.position, attempt: call.attempt});
				fill(pressed, result ? '✓ The signature is right'
					: '✕ The present secret did not sign it');
			}
			catch (error)
			{
				fill(pressed, error.message);
			}
		}, 'small', {title: 'By the present secret; it is recorded as a use of the secret'}));

	return h('div', {class: 'exchange'}, h('section', {}, exchange(call), tools));
}

/* The newest attempt is there whole; of others, what was sent is asked for when it is looked at. */
function attempt(call, last, can, subscription, event)
{
	const box = h('div', {}, last ? contents({...call, ...last}, can, subscription, event)
		: h('p', {class: 'help'}, 'One moment …'));
	let asked = Boolean(last);

	return h('details', {open: Boolean(last), ontoggle: async () =>
	{
		if (asked)
			return;
		asked = true;
		try
		{
			const whole = await get('call', {event, subscription, position: call.position,
				at: call.logged_at, attempt: call.attempt});
			fill(box, contents({...call, ...whole}, can, subscription, event));
		}
		catch (error)
		{
			asked = false;
			fill(box, problem(error));
		}
	}},
		h('summary', {}, h('strong', {}, `Attempt ${call.attempt}`), badge(call.outcome),
			call.response_status !== null && h('span', {}, `Status ${call.response_status}`),
			call.ms !== null && h('span', {}, duration(call.ms)),
				time(call.requested_at ?? call.logged_at),
			call.error && h('span', {class: 'bad-text'}, call.error)),
		box);
}

export async function delivery({params, signal, can})
{
	const event = params.get('event');
	const subscription = params.get('subscription');
	const {explain, waiting, subscription: to, attempts, last: whole} = await get('delivery',
		{event, subscription}, signal);
	const any = attempts[0] ?? waiting;
	const last = attempts[0];
	const under = waiting || last?.outcome === 'retrying';
	const dead = !under && ['failed', 'cancelled'].includes(last?.outcome)
		&& !['ping', 'confirm', 'dismiss'].includes(last?.cause)
		&& last?.error_class !== 'dismissed';

	const act = (...what) => perform(...what).catch(error => fill(errors, problem(error)));
	const both = {event, subscription: Number(subscription)};
	const errors = h('div');

	/* What is under way changes by itself. */
	let known = live.last?.worker?.attempts;
	if (under)
		live.addEventListener('tick', async ({detail}) =>
		{
			const now = detail.worker?.attempts;
			if (now === known || document.hidden)
				return;
			known = now;
			const answer = await look('delivery', {event, subscription}, signal).catch(() => null);
			if (answer && answer.explain !== explain && !signal.aborted
				&& !document.querySelector('dialog[open]') && !getSelection().toString())
				refresh();
		}, {signal});

	return [
		heading(any ? `${any.event_type}${any.subject ? ` about ${any.subject}` : ''}` : 'Delivery',
			to ? ['to subscription ', h('a', {href: link('subscription', {id: to.id})}, `${to.id}`),
				`, ${to.description ?? to.endpoint}`]
				: `to subscription ${subscription}, which does not exist`,
			can('resend') && to && !['ping', 'confirm'].includes(any?.cause)
				&& button('Send again', () => act('resend', both, 'It will be sent again.'),
				'primary'),
			can('retry') && waiting && waiting.subject !== null && !waiting.waits_for
				&& button('Try now', () =>
				act('retry', {subscription: Number(subscription), subject: waiting.subject},
					'It is tried now.')),
			can('cancel') && under && button('Cancel',
				async () => await confirm('Cancel this delivery?',
				'It is not tried any more. A request that is under way is the last one.',
					'Cancel the delivery')
				&& act('cancel', both, 'It is cancelled.'), 'danger'),
			can('cancel') && dead && button('Dismiss',
				async () => await confirm('Dismiss this delivery?',
				'It does not count as failed any more. It can still be sent again.', 'Dismiss')
				&& act('cancel', both, 'It is dismissed.'))),
		errors,
		h('div', {class: `notice${last?.outcome === 'delivered' ? ' good' : ''}`},
			explain.split('\n').map(line => h('p', {}, sentence(line)))),
		h('nav', {class: 'chips', 'aria-label': 'Related'},
			h('a', {class: 'chip', href: link('logs', {event})}, 'All calls of this event'),
			any?.subject && h('a', {class: 'chip', href: link('logs', {subject: any.subject})},
				`All calls about ${any.subject}`)),
		h('div', {class: 'attempts'}, attempts.map((call, i) =>
			attempt(call, i === 0 ? whole : null, can, subscription, event))),
		!attempts.length && h('div', {class: 'card empty'}, 'The log has no attempt of it.'),
		h('p', {class: 'help'}, 'Event Id ', h('code', {}, event)),
	];
}
