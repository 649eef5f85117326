/*
 * pages/audit.js
 *	  Audit: who did what, and when.
 */
import {get} from '../api.js';
import {h, heading, table, time} from '../dom.js';
import {fromInput, timeField} from '../fields.js';
import {field} from '../form.js';
import {filters, go, link} from '../route.js';

const actions = ['subscribe', 'alter_subscription', 'unsubscribe', 'pause', 'resume', 'ping',
	'resend', 'recover', 'retry',
	'cancel', 'skip', 'secret', 'rotate_secret', 'define_event_type', 'watch', 'unwatch',
		'alter_watch', 'resume_database',
	'grant_reader', 'grant_operator', 'grant_admin', 'revoke'];

/* A value in a few words. */
function brief(value)
{
	return value === null || value === undefined ? 'default' : typeof value === 'string' ? value
		: JSON.stringify(value);
}

/* Former and new values side by side; what is no change is shown as it is. */
function detail(value)
{
	const {old, new: now, ...rest} = value ?? {};
	const names = [...new Set([...Object.keys(old ?? {}), ...Object.keys(now ?? {})])];

	return [
		names.map(name => h('div', {}, h('span', {class: 'help'}, `${name}: `),
			old && now ? `${brief(old[name])} → ${brief(now[name])}` : brief((now ?? old)[name]))),
		Object.entries(rest).map(([name, v]) =>
			h('div', {}, h('span', {class: 'help'}, `${name}: `), brief(v))),
		!names.length && !Object.keys(rest).length && '–'];
}

/* Current role, and those behind it where they differ. */
function roles(row)
{
	const others = [row.outer_role, row.session_role].filter(r => r && r !== row.role);
	return [row.role, others.length > 0 && h('span', {class: 'sub'},
		`signed in as ${[...new Set(others)].join(', ')}`)];
}

export async function audit({params, signal})
{
	const filter = filters(params);
	const {rows} = await get('audit', filter, signal);
	const shown = rows.slice(0, 50);
	const clean = object => Object.fromEntries(Object.entries(object).filter(([, value]) =>
		value !== ''));
	const search = h('form', {class: 'filters', role: 'search', onsubmit: event =>
	{
		event.preventDefault();
		const values = Object.fromEntries(new FormData(search));
		go('audit', clean({...values, since: fromInput(values.since) ?? '',
			until: fromInput(values.until) ?? ''}));
	}},
	field({label: 'Role', name: 'role', value: filter.role ?? '', spellcheck: 'false'}),
	field({label: 'Action', name: 'action', value: filter.action ?? '', list: 'audit-actions',
		spellcheck: 'false'}),
	h('datalist', {id: 'audit-actions'}, actions.map(a => h('option', {value: a}))),
	h('div', {class: 'field narrow'}, ...field({label: 'Subscription', name: 'subscription',
		inputmode: 'numeric', pattern: '[0-9]*',
		value: filter.subscription ?? ''}).childNodes),
	timeField({label: 'From', name: 'since', value: filter.since}),
	timeField({label: 'Until', name: 'until', value: filter.until}),
	h('button', {class: 'button primary'}, 'Search'));

	return [
		heading('Audit', 'Who did what. Each act of people is a row, and so is who has seen a secret.'),
		search,
		table({caption: 'Acts', note: 'newest first', rows: shown,
			empty: 'Nobody has done anything that matches.',
			columns: [
				{head: 'Timestamp', class: 'time', cell: a => time(a.at)},
				{head: 'Role', cell: roles},
				{head: 'Action', cell: a => a.action},
				{head: 'Subscription', number: true, cell: a => a.subscription_id === null ? '–'
					: h('a', {href: link('subscription', {id: a.subscription_id})},
						a.subscription_id)},
				{head: 'Event', class: 'event',
					cell: a => a.event_id === null ? '–' : a.subscription_id === null ? a.event_id
					: h('a', {href: link('delivery',
						{event: a.event_id, subscription: a.subscription_id})},
						`${a.event_id.slice(0, 8)}…`)},
				{head: 'Detail', class: 'grow', cell: a => detail(a.detail)},
			]}),
		h('nav', {class: 'pages', 'aria-label': 'Pages of the list'},
			rows.length > 50 && h('a', {class: 'button',
				href: link('audit', {...filter, until: shown.at(-1).at})}, 'Older')),
	];
}
