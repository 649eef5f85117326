/*
 * pages/events.js
 *	  Events: what can be subscribed to, where it comes from, and what it looks like.
 */
import {get, post} from '../api.js';
import {badge, button, card, code, confirm, count, dialog, eventType, h, heading, pretty, table,
	time, toast} from '../dom.js';
import {headerLines} from '../exchange.js';
import {WrongField, check, field, form, problem, words} from '../form.js';
import {download} from '../list.js';
import {filters, go, link, refresh} from '../route.js';
import {verifyCode} from '../verify.js';

function jsonField(label, name, text, help)
{
	return field({label, name, help, control: h('textarea', {rows: 6, spellcheck: 'false'}, text)});
}

/* A text that was typed, which keeps the digits of long numbers; null for none. */
function json(name, text)
{
	try
	{
		JSON.parse(text || 'null');
	}
	catch (error)
	{
		throw new WrongField(name, 'This is no JSON.', error.message);
	}
	return text || 'null';
}

/* Defines an event type, or changes one: then only what differs is sent. */
function describe(now)
{
	return dialog(now ? `Edit ${now.name}` : 'Define an event type', close =>
	form({class: 'editor'}, async element =>
	{
		const values = Object.fromEntries(new FormData(element));
		const name = now?.name ?? values.name;
		const texts = {description: JSON.stringify(values.description),
			schema: json('schema', values.schema.trim()),
			example: json('example', values.example.trim())};
		if (now)
			texts.deprecated = String(Boolean(values.deprecated));
		const before = now ? {description: JSON.stringify(now.description ?? ''),
			schema: now.schema ?? 'null', example: now.example ?? 'null',
			deprecated: String(now.deprecated)} : {};
		await post(now ? 'alter_event_type' : 'define_event_type', `{"name":${JSON.stringify(name)}${
			Object.entries(texts).filter(([key, text]) => text !== before[key])
			.map(([key, text]) => `,"${key}":${text}`).join('')}}`);
		toast(now ? `${name} is changed.` : `${name} is defined.`);
		close(true);
	},
	!now && field({label: 'Name*', name: 'name', required: true, placeholder: 'App.InvoicePaid',
		spellcheck: 'false', autofocus: true}),
	field({label: 'Description', name: 'description', value: now?.description ?? '',
		help: 'When it happens, in a sentence.'}),
	jsonField('Schema of Data', 'schema', now?.schema,
		'JSON Schema 2020-12. Without one, that of the watched tables counts.'),
	jsonField('Example of Data', 'example', now?.example,
		'For receivers, and to be sent as a ping. It should name nothing that exists.'),
	now && check('Deprecated', {name: 'deprecated', checked: now.deprecated},
		'subscriptions that have it keep it; new ones cannot name it'),
	h('div', {class: 'actions end'}, button('Cancel', () => close(null)),
		h('button', {class: 'button primary'}, now ? 'Save' : 'Define'))));
}

async function drop(name)
{
	try
	{
		await post('drop_event_type', {name});
		toast(`${name} is dropped.`);
		go('events');
	}
	catch (error)
	{
		toast(words(error).join(' '), 'bad');
	}
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
	const shown = error =>
	{
		if (signal.aborted)
			throw error;
		return problem(error);
	};
	const [told, last] = chosen ? await Promise.all([
		get('event_type', {name: chosen}, signal).catch(shown),
		example(chosen, signal).catch(shown)]) : [];

	const tables = t => watched.filter(w => w.event_type === t.name)
		.map(w => h('div', {}, w.relation));

	return [
		heading('Events', 'What can be subscribed to.',
			can('openapi') && download('OpenAPI', 'webhooks.json', 'openapi', {},
				'What receivers get, for programs'),
			can('define_event_type')
			&& button('Define an event type …', async () => await describe() && refresh(),
				'primary')),
		table({caption: 'Event types', rows: types, empty: 'There is no event type.',
			rowClass: t => t.name === chosen ? 'open' : null,
			columns: [
				{head: 'Name', class: 'grow', cell: t =>
					[h('a', {href: link('events', {type: t.name}),
					'aria-current': t.name === chosen && 'true'}, eventType(t.name)),
					t.deprecated_at && badge('deprecated'),
					t.description && h('span', {class: 'sub'}, t.description)]},
				{head: 'Subscriptions', number: true,
					cell: t => h('a', {href: link('subscriptions', {q: t.name})},
					count(t.subscriptions))},
				watched.length > 0 && {head: 'Watched tables', class: 'event',
					cell: t => tables(t).length ? tables(t) : '–'},
				{head: 'Defined', class: 'time', cell: t => time(t.created_at)},
			].filter(Boolean)}),
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
			told instanceof Node ? told : card([eventType(chosen)],
				told.deprecated && h('p', {}, badge('deprecated'), ' since ', time(told.deprecated_at),
				'. Subscriptions that have it keep it.'),
				told.description?.length > 200 && h('p', {}, told.description),
				h('h3', {}, 'Schema of Data'),
				told.told === '{\n}' ? h('p', {class: 'help'}, 'None was given, and no table is watched.')
				: [!told.schema && h('p', {class: 'help'}, 'From the tables that are watched.'),
					code(told.told, 'Schema')],
				h('h3', {}, 'Example of Data'),
				told.example ? code(told.example, 'Example') : h('p', {class: 'help'}, 'None was given.'),
				h('div', {class: 'actions'},
					can('alter_event_type') && button('Edit …',
					async () => await describe(told) && refresh()),
					can('drop_event_type') && button('Drop …', async () =>
						await confirm(`Drop ${chosen}?`, 'It can be neither published nor subscribed to any more.',
					'Drop') && drop(chosen)),
					can('openapi')
					&& download('OpenAPI', `${chosen}.json`, 'openapi', {events: chosen}))),
			h('section', {class: 'card'}, h('h2', {}, 'Last: ', eventType(chosen)), last)),
		chosen && verifyCode(),
	];
}
