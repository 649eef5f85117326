/*
 * pages/events.js
 *	  Events: what can be subscribed to, where it comes from, and what it looks like.
 */
import {get, post} from '../api.js';
import {button, code, count, dialog, eventType, h, heading, pretty, table, time,
	toast} from '../dom.js';
import {headerLines} from '../exchange.js';
import {field, form, problem} from '../form.js';
import {filters, link, refresh} from '../route.js';
import {verifyCode} from '../verify.js';

function define()
{
	return dialog('Define an event type', close => form({class: 'editor'}, async element =>
	{
		const values = Object.fromEntries(new FormData(element));
		await post('define_event_type', {name: values.name,
			description: values.description || null});
		toast(`${values.name} is defined.`);
		close(true);
	},
	field({label: 'Name*', name: 'name', required: true, placeholder: 'App.InvoicePaid',
		spellcheck: 'false', autofocus: true}),
	field({label: 'Description', name: 'description', help: 'When it happens, in a sentence.'}),
	h('div', {class: 'actions end'}, button('Cancel', () => close(null)),
		h('button', {class: 'button primary'}, 'Define'))));
}

/* An event of a type, as it was sent or as it was published. */
async function example(name, signal)
{
	const {call, event} = await get('example', {event_type: name}, signal);
	if (!call && !event)
		return h('p', {class: 'help'},
			'There was no such event lately; Webhook Logs may have older ones.');
	const one = call ?? event;
	return [h('p', {class: 'help'}, call ? 'The last call, ' : 'An event as it was published, ',
		time(one.created_at),
		one.subject !== null && `, about ${one.subject}`),
	call && [h('h3', {}, 'Request Headers'), code(headerLines(call.request_headers),
		'Request Headers')],
	h('h3', {}, call ? 'Request Body' : 'Data'),
	code(pretty(call ? call.request_body : event.data),
		call ? 'Request Body' : 'Data')];
}

export async function events({params, signal, can})
{
	const {types, watched} = await get('event_types', {}, signal);
	const chosen = types.find(t => t.name === filters(params).type)?.name ?? types[0]?.name;
	const last = chosen ? await example(chosen, signal).catch(error =>
	{
		if (signal.aborted)
			throw error;
		return problem(error);
	}) : null;

	return [
		heading('Events', 'What can be subscribed to.', can('define_event_type')
			&& button('Define an event type …', async () => await define() && refresh(),
				'primary')),
		table({caption: 'Event types', rows: types, empty: 'There is no event type.',
			rowClass: t => t.name === chosen ? 'open' : null,
			columns: [
				{head: 'Name', class: 'grow', cell: t =>
					[h('a', {href: link('events', {type: t.name}),
					'aria-current': t.name === chosen && 'true'}, eventType(t.name)),
					t.description && h('span', {class: 'sub'}, t.description)]},
				{head: 'Subscriptions', number: true,
					cell: t => h('a', {href: link('subscriptions', {q: t.name})},
					count(t.subscriptions))},
				{head: 'Watched tables', class: 'event',
					cell: t => watched.filter(w => w.event_type === t.name).map(w =>
					h('div', {}, w.relation))},
				{head: 'Defined', class: 'time', cell: t => time(t.created_at)},
			]}),
		watched.length > 0 && table({caption: 'Watched tables', note: 'whose changes are events',
			rows: watched, columns: [
			{head: 'Table', cell: w => [w.relation,
				w.problem && h('span', {class: 'sub bad-text'}, `✕ ${w.problem}`)]},
			{head: 'Event', class: 'event', cell: w => eventType(w.event_type)},
			{head: 'Name in subjects', cell: w => w.name},
			{head: 'Status', cell: w => w.status_column},
			{head: 'Key', cell: w => w.id_columns.join(', ')},
			{head: 'Record', class: 'grow', cell: w => w.data_columns.join(', ') || '–'},
			{head: 'Trigger', cell: w => w.enabled},
		]}),
		chosen && h('div', {class: 'grid'},
			h('section', {class: 'card'}, h('h2', {}, 'Example: ', eventType(chosen)), last),
			verifyCode()),
	];
}
