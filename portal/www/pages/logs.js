/*
 * pages/logs.js
 *	  Webhook Logs: each call, newest first, with the request and the response unfolded
 *	  where they stand.
 */
import {get, look as ask} from '../api.js';
import {append, button, duration, eventType, fill, h, heading, table, tableRow, time,
	toast} from '../dom.js';
import {exchange, outcome} from '../exchange.js';
import {field, problem, select} from '../form.js';
import {download, filterForm, pager, periodFields, presets, subscriptionField} from '../list.js';
import {live} from '../live.js';
import {filters, link} from '../route.js';

const outcomes = [['', 'all'], ['undelivered', 'not delivered'], 'delivered', 'retrying', 'failed',
	'cancelled'];
const PAGE = 50;			/* rows that an answer has at most */
const MOST = 500;			/* rows that Follow keeps on the page */

/* A call is unfolded under its row when somebody asks for it. */
function unfold(row, columns)
{
	const press = h('button', {type: 'button', class: 'unfold', 'aria-expanded': 'false',
		'aria-label': `Request and response of attempt ${row.attempt} of event ${row.event_id}`,
			onclick: async () =>
		{
			const line = press.closest('tr');
			if (press.getAttribute('aria-expanded') === 'true')
			{
				press.setAttribute('aria-expanded', 'false');
				line.classList.remove('open');
				line.nextSibling.remove();
				return;
			}
			press.setAttribute('aria-expanded', 'true');
			line.classList.add('open');
			const cell = h('td', {colspan: columns}, h('p', {class: 'help'}, 'One moment …'));
			line.after(h('tr', {class: 'unfolded'}, cell));
			try
			{
				fill(cell, exchange(await get('call',
					{event: row.event_id, subscription: row.subscription_id,
					position: row.position, at: row.logged_at, attempt: row.attempt})));
			}
			catch (error)
			{
				fill(cell, problem(error));
			}
		}});
	return press;
}

export function callColumns(withSubscription = true)
{
	const columns = [
		{head: h('span', {class: 'unseen'}, 'Unfold'), class: 'tight',
			cell: row => unfold(row, columns.length)},
		{head: 'Timestamp', class: 'time', cell: row => time(row.requested_at ?? row.logged_at)},
		withSubscription && {head: 'Subscription', number: true, cell: row =>
			h('a', {href: link('subscription', {id: row.subscription_id})}, row.subscription_id)},
		{head: 'Event and contract', class: 'grow', cell: row => [
			h('a', {href: link('delivery', {event: row.event_id,
				subscription: row.subscription_id}), title: 'Details'},
				eventType(row.event_type)),
			(row.cause !== 'event' || row.subject !== null) && h('span', {class: 'sub'},
				row.subject !== null && h('a', {href: link('logs', {subject: row.subject}),
					title: `All calls about ${row.subject}`}, row.subject),
				row.cause !== 'event' && ` by ${row.cause}`)]},
		{head: 'HTTP Method', class: 'tight', cell: row => row.method ?? '–'},
		{head: 'Source IP Address', class: 'tight', cell: row => row.source_ip ?? '–'},
		{head: 'Attempt', number: true, cell: row => row.attempt},
		{head: 'Outcome', cell: outcome},
		{head: 'Status', number: true, cell: row => row.response_status ?? '–'},
		{head: 'Duration', number: true, cell: row => duration(row.ms)},
	].filter(Boolean);
	return columns;
}

export async function logs({params, signal})
{
	const {before_at: at, before_position: position, before_subscription: number,
		...filter} = filters(params);
	const page = {before_at: at, before_position: position, before_subscription: number};
	const types = get('event_types', {}, signal).catch(() => ({types: []}));
	const {rows, stopped, before} = await get('log', {...filter, ...page}, signal);
	const columns = callColumns();

	const names = h('datalist', {id: 'event-types'});
	types.then(answer => append(names, answer.types.map(t => h('option', {value: t.name}))));

	const search = filterForm('logs', {},
		subscriptionField(filter.subscription),
		field({label: 'Outcome', name: 'outcome', control: select(outcomes, filter.outcome,
			{onchange: () => search.requestSubmit()})}),
		field({label: 'Event', name: 'event_type', value: filter.event_type ?? '',
			list: 'event-types', spellcheck: 'false'}), names,
		field({label: 'Contract', name: 'subject', value: filter.subject ?? '',
			placeholder: 'business_request/42', spellcheck: 'false'}),
		field({label: 'Event Id', name: 'event', value: filter.event ?? '', spellcheck: 'false',
			pattern: '[0-9a-fA-F\\-]{32,36}', title: 'A UUID'}),
		field({label: 'Status', name: 'status', narrow: true, inputmode: 'numeric',
			pattern: '[1-9][0-9]{2}', title: 'Three digits', value: filter.status ?? ''}),
		periodFields(filter));

	const shown = table({caption: 'Calls', note: 'in the order in which they ended, newest first',
		rows, columns,
		empty: stopped ? 'Nothing was found so far.' : 'No call matches.'});
	const follow = button('Follow', () =>
	{
		const on = follow.getAttribute('aria-pressed') !== 'true';
		follow.setAttribute('aria-pressed', on);
		fill(follow, on ? 'Following' : 'Follow');
		if (on)
			look();
	}, '', {'aria-pressed': 'false',
		title: 'New calls come on top; not while the pointer is in the list'});

	/* The keys of a row as parameters. */
	const keys = (prefix, row) => ({[`${prefix}_at`]: row.logged_at,
		[`${prefix}_position`]: row.position, [`${prefix}_subscription`]: row.subscription_id});
	const below = h('div', {}, pager('logs', filter, !at, before));

	/* New rows on top, unless somebody reads the list just now.  Where more have come than one
	 * answer has, the newest ones stand alone, and the way to older ones begins below them. */
	let list = rows;
	let looking = false;
	const look = async () =>
	{
		const body = shown.querySelector('tbody');
		if (follow.getAttribute('aria-pressed') !== 'true' || looking || signal.aborted
			|| document.hidden || shown.matches(':hover') || shown.contains(document.activeElement))
			return;
		looking = true;
		try
		{
			const answer = await ask('log_newer', {...filter, ...keys('after', list[0])}, signal);
			if (answer.rows.length === PAGE)
			{
				list = [];
				fill(body);
			}
			list = [...answer.rows, ...list];
			body.prepend(...answer.rows.map(row => tableRow(columns, row, () => 'new')));
			const lines = [...body.children];
			const surplus = lines.filter(line => !line.matches('.unfolded'))[MOST];
			if (surplus)
				for (const line of lines.slice(lines.indexOf(surplus)))
					line.remove();
			if (answer.rows.length === PAGE || list.length > MOST)
			{
				list = list.slice(0, MOST);
				fill(below, pager('logs', filter, true, keys('before', list.at(-1))));
			}
		}
		catch (error)
		{
			if (!signal.aborted)
			{
				follow.setAttribute('aria-pressed', 'false');
				fill(follow, 'Follow');
				toast(error.message, 'bad');
			}
		}
		looking = false;
	};
	live.addEventListener('tick', look, {signal});

	return [
		heading('Webhook Logs', 'Each call, as it was sent and as it was answered.',
			!at && rows.length > 0 && follow,
			download('CSV', 'webhook-log.csv', 'log.csv', filter)),
		search,
		presets('logs', filter, [['last hour', 3600], ['24 hours', 86400], ['7 days', 604800]],
			h('a', {class: 'chip', href: link('logs', {outcome: 'undelivered'})},
				'not delivered')),
		shown,
		stopped && h('div', {class: 'notice'},
			h('p', {}, 'The search stopped after two seconds. It has gone back to ',
			time(stopped, 'full'), '. ', h('a', {href: link('logs', {...filter, ...before})},
				'Go on'),
			' from there, or choose a subscription, a contract or a period, which are found at once.')),
		below,
	];
}
