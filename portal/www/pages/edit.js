/*
 * pages/edit.js
 *	  Add New Webhook Subscription, and the same form to edit one.
 *
 * An edit sends only what was changed, so two people who edit the same subscription do
 * not undo each other's fields.  What is emptied gets its default back.
 */
import {get, post} from '../api.js';
import {button, eventType, h, heading, toast} from '../dom.js';
import {durationField, parseNumber, parseNumbers, parseSchedule, scheduleText} from '../fields.js';
import {WrongField, check, field, form, group, mark, select} from '../form.js';
import {go, link} from '../route.js';

/* What alter_subscription() takes for "the default". */
const emptied = {description: '', filter: 'true', max_in_flight: 0, rate_limit: 0, timeout: '0',
	retry_schedule: [], max_age: '0', final_statuses: [], ca: '', client_certificate: '',
	log_bodies: ''};

/* Check boxes for event types, for what begins alike, and for all.  The extension's own types are
 * in no pattern. */
function eventsField(types, chosen)
{
	types = types.filter(t => !t.deprecated_at || chosen.includes(t.name));
	const names = types.map(t => t.name);
	const prefixes = [...new Set(names.filter(n => n.includes('.') && !n.startsWith('webhook.'))
		.map(n => n.slice(0, n.indexOf('.') + 1)))];
	const patterns = ['*', ...prefixes.map(p => `${p}*`)];
	const others = chosen.filter(e => !names.includes(e) && !patterns.includes(e));
	const box = (name, label, about) => check(label, {name: 'events', value: name,
		checked: chosen.includes(name)}, about);
	const list = h('div', {class: 'checks'}, types.map(t => box(t.name, eventType(t.name), t.description)));
	const search = types.length >= 15 && field({label: 'Show event types with', type: 'search',
		oninput: event =>
		{
			const text = event.target.value.toLowerCase();
			for (const label of list.children)
				label.hidden = !label.textContent.toLowerCase().includes(text);
		}});
	const more = field({label: 'Other patterns', name: 'more_events', value: others.join(', '),
		placeholder: 'Sales.*',
			help: 'Separated by commas; Sales.* stands for all that begin with Sales.'});

	const element = group({label: 'Webhook Events*', name: 'events'},
		search, list,
		h('div', {class: 'checks'}, patterns.map(p =>
			box(p, p === '*' ? 'All events (*)' : `All that begin with ${p.slice(0, -1)} (${p})`,
			'also event types that are defined later'))),
		more);
	element.value = () => [...element.querySelectorAll('input[name=events]:checked')].map(i =>
		i.value)
		.concat(more.querySelector('input').value.split(',').map(e => e.trim()).filter(Boolean));
	return element;
}

/* Names and values of headers, a line each. */
function headersField(headers)
{
	const lines = h('div', {class: 'fields'});
	const add = (name = '', value = '') =>
	{
		const line = h('div', {class: 'pair wide'},
			h('input', {'aria-label': 'Name of the header', value: name, placeholder: 'x-name',
				spellcheck: 'false'}),
			h('input', {'aria-label': 'Value of the header', value, placeholder: 'value',
				spellcheck: 'false'}),
			button('Remove', () => line.remove(), 'quiet',
				{'aria-label': `Remove header ${name}`}));
		lines.append(line);
		return line;
	};
	Object.entries(headers ?? {}).forEach(([name, value]) => add(name, value));

	const element = group({label: 'Headers of its own', name: 'headers',
		help: 'Added to each request, such as Authorization.'}, lines,
	h('p', {}, button('Add a header', () => add().querySelector('input').focus(), 'small')));
	element.value = () =>
	{
		const all = {};
		for (const line of lines.children)
		{
			const [name, value] = [...line.querySelectorAll('input')].map(i => i.value);
			if (name.trim() === '' && value === '')
				continue;
			if (Object.hasOwn(all, name.trim()))
				throw new WrongField('headers', `There are two headers “${name.trim()}”.`,
					'Give each name once.');
			all[name.trim()] = value;
		}
		return all;
	};
	return element;
}

function text(options)
{
	const element = field(options);
	element.value = () => element.querySelector('input, textarea, select').value;
	return element;
}

/* A field whose text is read by a function. */
function read(options, parse)
{
	const element = field(options);
	element.value = () => parse(options.name, element.querySelector('input').value);
	return element;
}

function schemesField(chosen)
{
	const element = group({label: 'Signatures', name: 'signature_schemes'},
		check('Standard Webhooks', {checked: chosen.includes('standard'), value: 'standard'},
			'headers webhook-id, webhook-timestamp and webhook-signature'),
		check('ASP.NET Boilerplate', {checked: chosen.includes('abp'), value: 'abp'},
			'header abp-webhook-signature as well'));
	element.value = () => [...element.querySelectorAll('input:checked')].map(i => i.value);
	return element;
}

/* The options of a subscription, credentials included: the audit has who sees them. */
async function options(id)
{
	return (await post('subscription_options', {subscription: id})).result;
}

export async function edit({params, signal, me, can, path})
{
	const id = path === 'edit' ? params.get('id') : null;
	const [{types}, now, {rows: tenants}] = await Promise.all([get('event_types', {}, signal),
		id ? options(id) : {},
		!id && me.sees_all && me.reads?.tenant ? get('tenants', {}, signal) : {rows: []}]);

	const endpoint = text({label: 'Webhook Endpoint*', name: 'endpoint', type: 'url',
		value: now.endpoint ?? '',
		placeholder: 'https://example.com/hooks', required: true, wide: true, autofocus: !id,
			spellcheck: 'false',
		help: 'Each event is posted to this URL.', inputmode: 'url'});
	const fields = {
		endpoint,
		events: eventsField(types, now.events ?? []),
		description: text({label: 'Description', name: 'description', value: now.description ?? '',
			wide: true,
			help: 'For people: whose system it is.'}),
		headers: headersField(now.headers),
		filter: text({label: 'Filter', name: 'filter', value: now.filter ?? '', wide: true,
			spellcheck: 'false',
			placeholder: '$.NewStatus == "Signed"',
			help: 'Only events are sent for whose Data this SQL/JSON path predicate is true.'}),
		payload_format: text({label: 'Request body', name: 'payload_format', control: select([
			['envelope', 'envelope: Id, WebhookEvent, Data …'], ['raw', 'raw: Data alone'],
			['standard', 'standard: type, timestamp, data']], now.payload_format ?? 'envelope')}),
		include_context: text({label: 'Who caused it', name: 'include_context', control: select([
			['false', 'left out'], ['true', 'Context in the envelope']],
			String(now.include_context ?? false))}),
		log_bodies: text({label: 'Bodies in the log', name: 'log_bodies', control: select([
			['', 'as the database is set'], ['all', 'of all calls'], ['failed', 'of calls that failed'],
			['none', 'of no call']], now.log_bodies ?? '')}),
		ordered: text({label: 'Order', name: 'ordered', control: select([
			['true', 'a contract’s changes one after the other'], ['false', 'as fast as possible']],
			String(now.ordered ?? true))}),
		signature_schemes: schemesField(now.signature_schemes ?? ['standard']),
		max_in_flight: read({label: 'Requests at once', name: 'max_in_flight', inputmode: 'numeric',
			value: now.max_in_flight ?? '', placeholder: 'default'}, parseNumber),
		rate_limit: read({label: 'Requests per second', name: 'rate_limit', inputmode: 'decimal',
			value: now.rate_limit ?? '', placeholder: 'no limit'},
				(name, value) => parseNumber(name, value, false)),
		timeout: durationField({label: 'Timeout', name: 'timeout', value: now.timeout,
			help: 'For a request in all.'}),
		max_age: durationField({label: 'Give up after', name: 'max_age', value: now.max_age,
			help: 'Default: 7 days.'}),
		retry_schedule: read({label: 'Waits between attempts', name: 'retry_schedule',
			value: scheduleText(now.retry_schedule), placeholder: '5 s, 5 min, 30 min, 2 h'},
				parseSchedule),
		final_statuses: read({label: 'Statuses that end a delivery', name: 'final_statuses',
			value: (now.final_statuses ?? []).join(', '), placeholder: '400, 404',
				help: '410 always does.'}, parseNumbers),
		ca: text({label: 'Certificate authorities', name: 'ca', value: now.ca ?? '',
			spellcheck: 'false',
			help: 'A file in webhook.certificate_directory.'}),
		client_certificate: text({label: 'Client certificate', name: 'client_certificate',
			spellcheck: 'false',
			value: now.client_certificate ?? '', help: 'A file in webhook.certificate_directory.'}),
	};
	/* What a tenant may not set is not there. */
	if (me.tenant)
		for (const name of ['ca', 'client_certificate'])
			delete fields[name];
	if (tenants.length)
		fields.tenant = text({label: 'Tenant', name: 'tenant', control: select([
			['', 'none: the platform itself'], ...tenants.map(t => [t.name, t.name])], '')});
	if (!id)
		fields.secret = text({label: 'Secret', name: 'secret', value: '', spellcheck: 'false',
			wide: true,
			placeholder: 'generated',
				help: 'whsec_ and the base64 of 24 to 64 bytes; empty: one is generated.'});

	/* Where nothing was chosen on purpose, the fields stay folded. */
	const {endpoint: first, events, description, ...rest} = fields;
	const special = id && ['filter', 'max_in_flight', 'rate_limit', 'timeout', 'max_age',
		'retry_schedule', 'log_bodies', 'ca',
		'client_certificate'].some(name => now[name] !== null)
		|| Object.keys(now.headers ?? {}).length || now.ordered === false
			|| now.include_context
			|| (now.final_statuses ?? []).length
		|| (now.payload_format ?? 'envelope') !== 'envelope';

	const collect = () => Object.fromEntries(Object.entries(fields).map(([name, f]) =>
		[name, ['ordered', 'include_context'].includes(name) ? f.value() === 'true' : f.value()]));
	const before = id ? collect() : null;

	/* The database judges an endpoint as soon as it is there. */
	const input = endpoint.querySelector('input');
	input.addEventListener('change', async () =>
	{
		if (!can('check_endpoint') || !input.value)
			return;
		const checked = input.value;
		await post('check_endpoint', {endpoint: checked}).catch(error =>
		{
			if (input.value === checked && error.column === 'endpoint' && !signal.aborted)
				mark(editor, error);
		});
	});

	const editor = form({class: 'editor'}, async () =>
	{
		const values = collect();

		if (!values.endpoint.trim())
			throw new WrongField('endpoint', 'The endpoint is missing.', 'Give an https URL.');
		if (!values.events.length)
			throw new WrongField('events', 'No event is chosen.', 'Choose at least one.');
		if (id)
		{
			const changed = Object.entries(values)
				.filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]))
				.map(([name, value]) => [name, value === '' ? emptied[name] : value]);
			if (changed.length)
				await save('alter_subscription',
					{subscription: Number(id), ...Object.fromEntries(changed)});
			toast(changed.length ? 'Saved.' : 'Nothing was changed.');
			go('subscription', {id});
			return;
		}
		const {result} = await save('subscribe', Object.fromEntries(Object.entries(values)
			.filter(([, value]) => value !== '')));
		toast(`Subscription ${result} is saved.`);
		go('subscription', {id: result, new: 'true'});
	},
	h('div', {class: 'card'}, first, events, description),
	h('details', {class: 'card', open: Boolean(special)}, h('summary', {}, 'More'),
		h('div', {class: 'fields'}, Object.values(rest))),
	h('div', {class: 'actions'},
		h('button', {class: 'button primary'}, 'Save'),
		h('a', {class: 'button quiet', href: id ? link('subscription', {id})
			: link('subscriptions')}, 'Cancel')));

	/* Only the filter has a grammar of its own that the database refuses without a column. */
	const save = (function_, body) => post(function_, body).catch(error =>
	{
		if (!error.column && ['42601', '22P02'].includes(error.sqlstate) && body.filter)
			error.field = 'filter';
		throw error;
	});

	return [heading(id ? `Edit subscription ${id}` : 'Add New Webhook Subscription',
		id ? 'Only what you change is saved.'
			: 'The endpoint gets the chosen events from the moment you save.'), editor];
}
