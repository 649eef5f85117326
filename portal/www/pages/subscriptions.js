/*
 * pages/subscriptions.js
 *	  Webhook Subscriptions: all of them, how they fare, and the way to a new one.
 */
import {get} from '../api.js';
import {badge, count, duration, eventType, h, heading, stateOf, table,
	time} from '../dom.js';
import {field, select} from '../form.js';
import {endpointColumn, filterForm} from '../list.js';
import {filters, link} from '../route.js';

const orders = [['', 'number'], ['newest', 'newest first'], ['endpoint', 'endpoint'],
	['waiting', 'most waiting'], ['failed', 'most failed'], ['busy', 'busiest']];

export async function subscriptions({params, signal, can})
{
	const filter = filters(params);
	const offset = Number(filter.offset ?? 0);
	const {rows, total, states} = await get('subscriptions', {...filter}, signal);
	const hasTenants = can('define_tenant') && rows.some(s => s.tenant);
	const all = Object.values(states ?? {}).reduce((sum, n) => sum + n, 0);

	const search = filterForm('subscriptions', {state: filter.state},
		field({label: 'Search', name: 'q', type: 'search', value: filter.q ?? '',
			placeholder: 'endpoint, event or description'}),
		field({label: 'Order', name: 'sort', control: select(orders, filter.sort,
			{onchange: () => search.requestSubmit()})}));

	const chip = (state, text, n) => h('a', {class: 'chip',
		href: link('subscriptions', {...filter, state, offset: null}),
		'aria-current': (filter.state ?? null) === state && 'true'}, text,
			h('span', {class: 'n'}, count(n)));

	return [
		heading('Webhook Subscriptions', 'Who is told of which events.',
			can('subscribe') && h('a', {class: 'button primary', href: link('add')},
				'Add New Webhook Subscription')),
		search,
		h('nav', {class: 'chips', 'aria-label': 'State'}, chip(null, 'all', all),
			Object.entries(states ?? {}).sort().map(([state, n]) =>
				chip(state, state === 'open' ? 'breaker open' : state, n)),
			filter.state && !states?.[filter.state] && chip(filter.state, filter.state, 0)),
		table({
			caption: `${count(total)} subscription${total === 1 ? '' : 's'}`,
			note: total > 50 && `${offset + 1} to ${offset + rows.length}`,
			rows,
			empty: filter.q || filter.state ? 'No subscription matches.'
				: ['There is no subscription yet. ',
					can('subscribe') && h('a', {href: link('add')}, 'Add the first one.')],
			columns: [
				{head: 'No.', number: true, cell: s => s.subscription_id},
				endpointColumn(s => link('subscription', {id: s.subscription_id}), s => [
					s.description && h('span', {class: 'sub'}, s.description),
					hasTenants && s.tenant && h('span', {class: 'sub'}, `tenant ${s.tenant}`)]),
				{head: 'Webhook Events', class: 'event',
					cell: s => [s.events.map(e => h('div', {}, eventType(e))),
					s.nevents > s.events.length && h('span', {class: 'sub'},
						`and ${s.nevents - s.events.length} more`)]},
				{head: 'State', cell: s => [badge(stateOf(s)),
					s.reason && h('span', {class: 'sub', title: s.reason}, s.reason)]},
				{head: 'Delivered', number: true, cell: s => count(s.delivered)},
				{head: 'Failed', number: true, cell: s => count(s.failed)},
				{head: 'Waiting', number: true, cell: s => s.pending
					? h('a', {href: link('waiting', {subscription: s.subscription_id})},
						count(s.pending)) : '0'},
				{head: '95 %', number: true, cell: s => duration(s.p95)},
				{head: 'Last success', class: 'time',
					cell: s => s.last_success ? time(s.last_success, 'ago') : '–'},
			]}),
		total > 50 && h('nav', {class: 'pages', 'aria-label': 'Pages of the list'},
			offset > 0 && h('a', {class: 'button',
				href: link('subscriptions', {...filter, offset: Math.max(0, offset - 50) || null})},
				'Previous'),
			offset + 50 < total && h('a', {class: 'button',
				href: link('subscriptions', {...filter, offset: offset + 50})}, 'Next')),
	];
}
