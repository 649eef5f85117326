/*
 * pages/failed.js
 *	  Failed: what ended undelivered, until it is sent again or dismissed.
 */
import {get} from '../api.js';
import {button, eventType, h, heading, table, time} from '../dom.js';
import {outcome} from '../exchange.js';
import {filterForm, pager, periodFields, presets, subscriptionField} from '../list.js';
import {recover} from '../recover.js';
import {filters, link, refresh} from '../route.js';
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
	return [
		heading('Failed', [
			'Deliveries that ended undelivered and were neither sent again nor dismissed. ',
			can('recover') && !filter.subscription && 'Choose a subscription to recover all of it.'],
			can('recover') && filter.subscription
				&& button('Recover …', async () =>
					await recover(Number(filter.subscription), null) && refresh(), 'primary')),
		filterForm('failed', {},
			subscriptionField(filter.subscription),
			periodFields(filter, 'Ended from')),
		presets('failed', filter, [['24 hours', 86400], ['7 days', 604800]]),
		failedTable(shown, can),
		pager('failed', filter, !at, rows.length > 50 && {before_at: last.logged_at,
			before_position: last.position, before_subscription: last.subscription_id}),
	];
}
