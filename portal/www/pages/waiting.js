/*
 * pages/waiting.js
 *	  Waiting: what will be sent, when, and behind what.
 */
import {get, post} from '../api.js';
import {badge, button, confirm, count, eventType, h, heading, table, time,
	toast} from '../dom.js';
import {field} from '../form.js';
import {endpointColumn, filterForm, pager, reasonOf} from '../list.js';
import {filters, link, refresh} from '../route.js';

/* Does something; it is said, and the page is shown again. */
export async function perform(name, body, said)
{
	await post(name, body);
	toast(said);
	setTimeout(refresh, 500);
}

/* A button of a row; what it did is said, and the page is shown again. */
export function rowAction(text, name, body, said, question)
{
	const press = button(text, async () =>
	{
		if (question && !await confirm(question[0], question[1], text))
			return;
		press.disabled = true;
		try
		{
			await perform(name, body, said);
		}
		catch (error)
		{
			press.disabled = false;
			toast([error.message, error.hint].filter(Boolean).join('. '), 'bad');
		}
	}, 'small');
	return press;
}

/* Deliveries of one subscription. */
export function waitingTable(rows, subscription, can, subject)
{
	const id = Number(subscription);
	return table({
		caption: subject ? `What waits about ${subject}` : 'Due next',
		note: subject ? 'in the order in which it will be sent'
			: 'the first of each contract; others wait behind it',
		rows, empty: subject ? 'Nothing waits about it.' : 'Nothing waits for this subscription.',
		columns: [
			{head: 'Contract', class: 'grow', cell: p => p.subject === null ? 'none'
				: h('a', {href: link('waiting', {subscription: id, subject: p.subject})},
					p.subject)},
			{head: 'Event', class: 'event', cell: p =>
				[h('a', {href: link('delivery', {event: p.event_id, subscription: id})},
				eventType(p.event_type)),
				p.cause !== 'event' && h('span', {class: 'sub'}, p.cause)]},
			{head: 'Occurred', class: 'time', cell: p => time(p.created_at)},
			{head: 'Waiting since', class: 'time', cell: p => time(p.queued_at, 'ago')},
			{head: 'Attempts made', number: true, cell: p => p.attempt},
			{head: 'Next attempt', class: 'time',
				cell: p => p.next_at ? [time(p.next_at), h('span', {class: 'sub'}, ago_(p.next_at))]
				: p.waits_for ? h('a', {href: link('delivery',
					{event: p.waits_for, subscription: id})}, 'behind another event')
					: 'behind another event'},
			can('skip') && {head: 'Actions', class: 'tight', cell: p => h('div', {class: 'actions'},
				p.subject !== null && p.next_at
					&& rowAction('Try now', 'retry', {subscription: id, subject: p.subject},
					'It is tried now.'),
				p.subject !== null && p.next_at
					? rowAction('Skip', 'skip', {subscription: id, subject: p.subject},
						'It is skipped.',
						['Skip this delivery?',
							`It is cancelled, and the next one about ${p.subject} is sent.`])
					: rowAction('Cancel', 'cancel', {subscription: id, event: p.event_id},
						'It is cancelled.',
						['Cancel this delivery?', 'It is not sent.']))},
		].filter(Boolean)});
}

function ago_(at)
{
	return Date.parse(at) < Date.now() ? 'due' : time(at, 'ago');
}

export async function waiting({params, signal, can})
{
	const filter = filters(params);
	const {rows} = await get('waiting', filter, signal);

	if (!filter.subscription)
		return [
			heading('Waiting', 'What will be sent: retries, what waits behind them, and what a paused subscription keeps.'),
			table({caption: 'Subscriptions with waiting deliveries', rows,
				empty: 'Nothing waits. All that was committed is sent.',
				columns: [
					{head: 'No.', number: true, cell: s => s.subscription_id},
					endpointColumn(s => link('waiting', {subscription: s.subscription_id}), reasonOf),
					{head: 'State', class: 'tight', cell: s => badge(s.state)},
					{head: 'Waiting', number: true, cell: s => count(s.pending)},
					{head: 'Oldest', class: 'time', cell: s => time(s.oldest_pending, 'ago')},
					{head: 'Next attempt', class: 'time',
						cell: s => s.next_attempt ? ago_(s.next_attempt) : '–'},
				]}),
		];

	const shown = rows.slice(0, filter.subject ? 200 : 50);
	const last = shown.at(-1);

	return [
		heading(`Waiting for subscription ${filter.subscription}`,
			h('a', {href: link('subscription', {id: filter.subscription})}, 'Subscription'),
			can('retry') && rowAction('Try all now', 'retry',
				{subscription: Number(filter.subscription)}, 'What waits is tried now.')),
		filterForm('waiting', {subscription: filter.subscription},
			field({label: 'Contract', name: 'subject', value: filter.subject ?? '',
				placeholder: 'business_request/42', spellcheck: 'false'})),
		h('nav', {class: 'chips', 'aria-label': 'Filter'},
			h('a', {class: 'chip', href: link('waiting')}, 'all subscriptions'),
			filter.subject && h('a', {class: 'chip',
				href: link('waiting', {subscription: filter.subscription})}, 'all contracts')),
		waitingTable(shown, filter.subscription, can, filter.subject),
		pager('waiting', {subscription: filter.subscription}, !filter.after_at,
			!filter.subject && rows.length > 50 && {after_at: last.next_at, after_id: last.id},
			['First', 'Next']),
	];
}
