/*
 * pages/failed.js
 *	  Failed: what ended undelivered, until it is sent again or dismissed.
 */
import {get} from '../api.js';
import {button, eventType, h, heading, table, time} from '../dom.js';
import {outcome} from '../exchange.js';
import {fromInput, timeField} from '../fields.js';
import {field} from '../form.js';
import {recover} from '../recover.js';
import {filters, go, link, refresh} from '../route.js';
import {rowAction} from './waiting.js';

export function failedTable(rows, can)
{
	return table({caption: 'Undelivered', note: 'newest first', rows,
		empty: 'Nothing has failed here.',
		columns: [
			{head: 'Ended', class: 'time', cell: d => time(d.logged_at)},
			{head: 'Subscription', number: true,
				cell: d => h('a', {href: link('subscription', {id: d.subscription_id})},
				d.subscription_id)},
			{head: 'Event and contract', class: 'grow', cell: d => [
				h('a', {href: link('delivery',
					{event: d.event_id, subscription: d.subscription_id})},
					eventType(d.event_type)),
				d.subject !== null && h('span', {class: 'sub'}, d.subject)]},
			{head: 'Occurred', class: 'time', cell: d => time(d.created_at)},
			{head: 'Outcome', cell: outcome},
			{head: 'Attempts', number: true, cell: d => d.attempt},
			{head: 'Status', number: true, cell: d => d.response_status ?? '–'},
			can('resend') && {head: 'Actions', class: 'tight',
				cell: d => h('div', {class: 'actions'},
				rowAction('Send again', 'resend',
					{event: d.event_id, subscription: d.subscription_id}, 'It will be sent again.'),
				rowAction('Dismiss', 'cancel', {event: d.event_id, subscription: d.subscription_id},
					'It is dismissed.',
					['Dismiss this delivery?',
						'It does not count as failed any more. It can still be sent again.']))},
		].filter(Boolean)});
}

export async function failed({params, signal, can})
{
	const {before_at: at, before_position: position, before_subscription: number,
		...filter} = filters(params);
	const {rows} = await get('failed', filters(params), signal);
	const shown = rows.slice(0, 50);
	const last = shown.at(-1);
	const clean = object => Object.fromEntries(Object.entries(object).filter(([, value]) =>
		value !== ''));
	const search = h('form', {class: 'filters', role: 'search', onsubmit: event =>
	{
		event.preventDefault();
		const values = Object.fromEntries(new FormData(search));
		go('failed', clean({...values, since: fromInput(values.since) ?? '',
			until: fromInput(values.until) ?? ''}));
	}},
	h('div', {class: 'field narrow'}, ...field({label: 'Subscription', name: 'subscription',
		inputmode: 'numeric', pattern: '[0-9]*',
		value: filter.subscription ?? ''}).childNodes),
	timeField({label: 'Ended from', name: 'since', value: filter.since}),
	timeField({label: 'until', name: 'until', value: filter.until}),
	h('button', {class: 'button primary'}, 'Search'));

	return [
		heading('Failed', 'Deliveries that ended undelivered and were neither sent again nor dismissed.',
			can('recover') && (filter.subscription
				? button('Recover …', async () =>
					await recover(Number(filter.subscription),
					`Subscription ${filter.subscription}`) && refresh(), 'primary')
				: h('span', {class: 'help'}, 'To send all of a subscription again, choose it.'))),
		search,
		h('nav', {class: 'chips', 'aria-label': 'Presets'},
			[['24 hours', 1], ['7 days', 7]].map(([text, days]) =>
				h('a', {class: 'chip', href: '#/failed', onclick: event =>
			{
				event.preventDefault();
				go('failed', {...filter, until: null,
					since: new Date(Date.now() - days * 86400000).toISOString()});
			}}, text)),
			h('a', {class: 'chip', href: link('failed')}, 'no filter')),
		failedTable(shown, can),
		h('nav', {class: 'pages', 'aria-label': 'Pages of the list'},
			at && h('a', {class: 'button', href: link('failed', filter)}, 'Newest'),
			rows.length > 50 && h('a', {class: 'button',
				href: link('failed', {...filter, before_at: last.logged_at,
				before_position: last.position, before_subscription: last.subscription_id})},
					'Older')),
	];
}
