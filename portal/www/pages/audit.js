/*
 * pages/audit.js
 *	  Audit: who did what, and when.
 */
import {get} from '../api.js';
import {h, heading, table, time, url} from '../dom.js';
import {field} from '../form.js';
import {filterForm, pager, periodFields, presets, subscriptionField} from '../list.js';
import {filters, link} from '../route.js';

const actions = ['subscribe', 'alter_subscription', 'unsubscribe', 'pause', 'resume',
	'confirm', 'ping', 'resend', 'recover', 'retry', 'cancel', 'skip', 'erase', 'secret',
	'rotate_secret', 'subscription_options', 'config', 'define_event_type', 'alter_event_type',
	'drop_event_type', 'watch', 'alter_watch', 'unwatch', 'define_tenant', 'portal_token',
	'act_as', 'revoke_portal_tokens', 'grant_reader', 'grant_operator', 'grant_admin',
	'grant_monitor', 'grant_backup', 'grant_tenant', 'grant_portal', 'revoke',
	'resume_database'];

/* A value in a few words; '' for one that says nothing. */
function brief(value)
{
	return value === null || value === undefined ? 'default' : typeof value === 'string' ? value
		: Array.isArray(value) ? value.join(', ')
		: JSON.stringify(value) === '{}' ? '' : JSON.stringify(value);
}

/* Former and new values side by side; what is no change is shown as it is. */
function detail(value)
{
	const {old, new: now, ...rest} = value ?? {};
	const names = [...new Set([...Object.keys(old ?? {}), ...Object.keys(now ?? {})])];
	const all = [
		...names.map(name => [name, old && now
			? `${brief(old[name]) || 'none'} → ${brief(now[name]) || 'none'}`
			: brief((now ?? old)[name])]),
		...Object.entries(rest).map(([name, v]) => [name, brief(v)])]
		.filter(([, text]) => text !== '');

	return all.length ? all.map(([name, text]) => h('span', {class: 'item'},
		h('span', {class: 'help'}, `${name}: `), /^https?:/.test(text) ? url(text) : text, ' '))
		: '–';
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

	/* A page ends between two times, where the next one can begin. */
	const shown = rows.filter((row, i) => i < 50 || row.at === rows[49].at);
	while (shown.length > 1 && shown.at(-1).at === rows[50]?.at)
		shown.pop();

	return [
		heading('Audit',
			'Who did what. Each act of people is a row, and so is who has seen a secret.'),
		filterForm('audit', {},
			field({label: 'Role', name: 'role', value: filter.role ?? '', spellcheck: 'false'}),
			field({label: 'Action', name: 'action', value: filter.action ?? '',
				list: 'audit-actions', spellcheck: 'false'}),
			h('datalist', {id: 'audit-actions'}, actions.map(a => h('option', {value: a}))),
			subscriptionField(filter.subscription),
			periodFields(filter)),
		presets('audit', filter, [['24 hours', 86400], ['7 days', 604800]]),
		table({caption: 'Acts', note: 'newest first', rows: shown,
			empty: 'Nobody has done anything that matches.',
			columns: [
				{head: 'Timestamp', class: 'time', cell: a => time(a.at)},
				{head: 'Role', cell: roles},
				{head: 'Action', cell: a => a.action},
				{head: 'Subscription', number: true, cell: a => a.subscription_id === null ? '–'
					: h('a', {href: link('subscription', {id: a.subscription_id})},
						a.subscription_id)},
				{head: 'Event', class: 'tight',
					cell: a => a.event_id === null ? '–' : a.subscription_id === null ? a.event_id
					: h('a', {href: link('delivery',
						{event: a.event_id, subscription: a.subscription_id})},
						`${a.event_id.slice(0, 8)}…`)},
				{head: 'Detail', class: 'grow', cell: a => detail(a.detail)},
			]}),
		pager('audit', filter, true, rows.length > 50 && {until: shown.at(-1).at}),
	];
}
