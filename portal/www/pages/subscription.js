/*
 * pages/subscription.js
 *	  One subscription: how it fares, what it gets, and what can be done.
 */
import {Refusal, get, look, post} from '../api.js';
import {append, badge, button, card, code, confirm, count, dialog, duration, fill, h, heading,
	pretty, rate, stateOf, table, terms, time, toast, url} from '../dom.js';
import {seconds, scheduleText} from '../fields.js';
import {field, form, problem, select} from '../form.js';
import {past, ranges} from '../history.js';
import {live} from '../live.js';
import {recover} from '../recover.js';
import {go, link, refresh} from '../route.js';
import {reveal, rotate} from '../secret.js';
import {liveControl} from '../status.js';
import {verifyCode} from '../verify.js';
import {callColumns} from './logs.js';
import {failedTable} from './failed.js';
import {waitingTable} from './waiting.js';

/* The answer to a ping, in place, as soon as it is there. */
async function ping(id, place, signal, type = null)
{
	fill(place, h('div', {class: 'notice'}, 'The ping is under way …'));
	try
	{
		const {result: event} = await post('ping', {subscription: id, event_type: type});
		for (const started = Date.now(); Date.now() - started < 60000 && !signal.aborted;)
		{
			await new Promise(resolve => setTimeout(resolve,
				Date.now() - started < 3000 ? 250 : 1000));
			const {attempts: [call], last} = await get('delivery', {event, subscription: id}, signal);
			if (!call)
				continue;
			fill(place, h('div', {class: `notice${call.outcome === 'delivered' ? ' good' : ''}`},
				h('p', {}, badge(call.outcome),
					call.response_status === null ? ' no answer'
					: ` Status ${call.response_status}`,
					` after ${duration(call.ms)}`, call.error && `: ${call.error}`, '. ',
					h('a', {href: link('delivery', {event, subscription: id})}, 'Details')),
				last?.response_body && code(pretty(last.response_body), 'Response Body')));
			return;
		}
		fill(place, h('div', {class: 'notice'}, 'There is no answer within a minute. ',
			h('a', {href: link('delivery', {event, subscription: id})}, 'Details')));
	}
	catch (error)
	{
		if (!signal.aborted)
			fill(place, problem(error));
	}
}

/* Asks which event type's example is to be sent; null: none. */
async function exampleType(signal)
{
	const {types} = await get('event_types', {}, signal);
	const names = types.filter(t => t.has_example).map(t => t.name);
	return dialog('Send an example', close => names.length
		? form({}, element => close(element.elements.event_type.value),
			field({label: 'Event', name: 'event_type', control: select(names),
				help: 'The receiver takes it for an event of this type, without a subject.'}),
			h('div', {class: 'actions end'}, button('Cancel', () => close(null)),
				h('button', {class: 'button primary'}, 'Send')))
		: [h('p', {}, 'No event type has an example. Events is where one is given.'),
			h('div', {class: 'actions end'}, button('Close', () => close(null)))]);
}

/* What waited is cancelled after the subscription is gone or disabled; a dialog follows it
 * where it is much. */
function followCancelling(id, waits)
{
	return waits > 500 && dialog('What waited is being cancelled', close =>
	{
		const bar = h('progress', {max: waits, value: 0, 'aria-label': 'Progress'});
		const said = h('p', {role: 'status'}, `${count(waits)} are left.`);
		const look = async () =>
		{
			const answer = await get('pending_count', {subscription: id}).catch(() => null);
			if (!bar.isConnected)
				return;
			if (answer)
			{
				bar.value = waits - answer.pending;
				fill(said, `${count(answer.pending)} are left.`);
			}
			if (answer?.pending === 0)
				close(true);
			else
				setTimeout(look, 1000);
		};
		setTimeout(look, 300);
		return [bar, said, h('div', {class: 'actions end'},
			button('Go on in the background', () => close(true), 'primary'))];
	});
}

async function unsubscribe(s, stat)
{
	const waits = Number(stat?.pending ?? 0);
	if (!await confirm(`Unsubscribe ${s.id}?`, [`${s.endpoint} gets no more events.`,
		waits ? `${count(waits)} waiting deliveries are cancelled and cannot be sent again.`
			: 'Nothing waits for it.',
		'Its calls stay in Webhook Logs.'], 'Unsubscribe'))
		return;
	await post('unsubscribe', {subscription: s.id});
	await followCancelling(s.id, waits);
	toast(`Subscription ${s.id} is gone.`);
	go('subscriptions');
}

async function disable(s, stat)
{
	const waits = Number(stat.pending);
	if (!await confirm('Disable this subscription?', [
		`${count(waits)} waiting deliveries are cancelled.`,
		'Events that occur while it is disabled are not sent. To keep them, pause it instead.'],
	'Disable'))
		return false;
	await post('alter_subscription', {subscription: s.id, enabled: false});
	await followCancelling(s.id, waits);
	return true;
}

const tabs = {
	calls: ['Latest calls', async (id, signal) =>
	{
		const {rows} = await get('log', {subscription: id}, signal);
		return [table({caption: 'Latest calls', rows, columns: callColumns(false),
			empty: 'There was no call yet.'}),
			h('p', {}, h('a', {href: link('logs', {subscription: id})},
				'All of them in Webhook Logs'))];
	}],
	waiting: ['Waiting', async (id, signal, can) =>
	{
		const {rows} = await get('waiting', {subscription: id}, signal);
		return [waitingTable(rows.slice(0, 50), id, can),
			h('p', {}, h('a', {href: link('waiting', {subscription: id})}, 'All of them'))];
	}],
	failed: ['Failed', async (id, signal, can) =>
	{
		const {rows} = await get('failed', {subscription: id}, signal);
		return [failedTable(rows.slice(0, 50), can),
			h('p', {}, h('a', {href: link('failed', {subscription: id})}, 'All of them'))];
	}],
	time: ['Over time', async (id, signal, can, params) =>
	{
		const range = Object.hasOwn(ranges, params.get('range')) ? params.get('range') : 'day';
		return [h('nav', {class: 'chips', 'aria-label': 'Time range'},
			Object.entries(ranges).map(([key, r]) =>
			h('a', {class: 'chip', href: link('subscription', {id, tab: 'time', range: key}),
				'aria-current': key === range && 'true'}, r.text))),
		await past(range, id, signal)];
	}],
	code: ['Verify', async () => verifyCode()],
};

function fares(stat)
{
	return terms(
		['State', badge(stateOf(stat)), stat.reason
			&& h('span', {class: 'help'}, ` ${stat.reason}`)],
		['Delivered', count(stat.delivered)],
		['Failed for good', count(stat.failed)],
		['Attempts that were retried', count(stat.retried)],
		['Waiting', count(stat.pending), stat.oldest_pending
			&& [', oldest ', time(stat.oldest_pending, 'ago')]],
		['Next attempt', stat.next_attempt && time(stat.next_attempt)],
		['Now', `${rate(stat.rate)} per second`],
		['Time to answer', stat.p50_ms !== null
			&& `${duration(stat.p50_ms)} median, ${duration(stat.p95_ms)} for 95 %`],
		['Last success', stat.last_success ? [time(stat.last_success), ', ',
			time(stat.last_success, 'ago')] : 'none yet'],
		['Last failure', stat.last_failure && [time(stat.last_failure), ', ',
			time(stat.last_failure, 'ago')]],
		stat.filter_errors > 0 && ['Events that the filter failed for', count(stat.filter_errors)]);
}

export async function subscription({params, signal, me, can})
{
	const id = Number(params.get('id'));
	const tab = Object.hasOwn(tabs, params.get('tab')) ? params.get('tab') : 'calls';
	let answer;
	try
	{
		answer = await get('subscription', {id: params.get('id')}, signal);
	}
	catch (error)
	{
		if (!(error instanceof Refusal) || error.status !== 404)
			throw error;
		return [heading(`Subscription ${params.get('id')}`), h('div', {class: 'card empty'},
			'It does not exist, or not any more. ',
				h('a', {href: link('logs', {subscription: params.get('id')})}, 'Its calls'),
			h('a', {href: link('subscriptions')}, 'Webhook Subscriptions'))];
	}
	const s = answer.subscription;
	let {stat} = answer;
	const content = await tabs[tab][1](id, signal, can, params);
	const place = h('div', {role: 'status'});
	const offer = h('div');
	const facts = h('div', {}, fares(stat));
	const isDisabled = stat.state === 'disabled';

	const act = async (event, work, said) =>
	{
		const pressed = event.currentTarget;
		pressed.disabled = true;
		try
		{
			if (await work() === false)
				return;
			toast(said);
			refresh();
		}
		catch (error)
		{
			fill(place, problem(error));
		}
		finally
		{
			pressed.disabled = false;
		}
	};
	const shown = async work =>
	{
		try
		{
			await work();
		}
		catch (error)
		{
			fill(place, problem(error));
		}
	};

	/* The numbers follow what happens; a change by people shows the page again. */
	let at = 0;
	live.addEventListener('tick', async () =>
	{
		if (Date.now() - at < 4000 || document.hidden)
			return;
		at = Date.now();
		const now = await look('subscription', {id}, signal).catch(() => null);
		if (now?.stat && !signal.aborted)
			fill(facts, fares(stat = now.stat));
	}, {signal});
	live.addEventListener('notice', ({detail}) =>
	{
		if (detail.subscription === id && !document.querySelector('dialog[open]')
			&& !place.firstChild)
			refresh();
	}, {signal});

	if (params.get('new'))
		append(offer, h('div', {class: 'notice good'},
			h('p', {}, h('strong', {}, 'It is saved. '),
				'Give the secret to whoever runs the endpoint, and try it with a ping.'),
			h('div', {class: 'actions'}, can('secret')
				&& button('Show the secret', () => shown(() => reveal(id))),
				can('ping') && button('Send a ping', () => ping(id, place, signal)))));

	if (stat.state === 'unconfirmed')
		append(offer, h('div', {class: 'notice'},
			h('p', {}, h('strong', {}, 'The endpoint is unconfirmed. '),
				'It gets no event until it has answered the POST of ', h('code', {}, 'webhook.confirm'),
				' with status 200 and, as the body, what header ', h('code', {}, 'webhook-challenge'),
				' has. What happens meanwhile waits. It is asked three times within 11 minutes; ',
				'to have it asked anew, edit the endpoint.')));

	return [
		heading(url(s.endpoint),
			`Subscription ${s.id}${s.description ? ` · ${s.description}` : ''}`,
			can('ping') && !isDisabled && button('Send a ping', () => ping(id, place, signal),
				'primary'),
			can('ping') && !isDisabled && button('Send an example …', () => shown(async () =>
			{
				const type = await exampleType(signal);
				if (type)
					ping(id, place, signal, type);
			})),
			can('confirm') && stat.state === 'unconfirmed' && button('Confirm', event => act(event,
				async () => await confirm('Confirm this endpoint without its answer?',
					['It gets what waits, and all events from now on.'], 'Confirm') === true
					&& post('confirm', {subscription: id}), 'It is confirmed.')),
			can('retry') && stat.pending > 0 && !isDisabled && !s.paused
				&& button('Try now', event => act(event, () =>
				post('retry', {subscription: id}), 'What waits is tried now.'), '',
					{title: 'What waits is due now, and an open breaker closes'}),
			can('pause') && !isDisabled && (s.paused
				? button('Resume', event => act(event, () => post('resume', {subscription: id}),
					'It is resumed.'))
				: button('Pause', event => act(event, () => post('pause', {subscription: id}),
					'It is paused; its events wait.'), '',
					{title: 'Its events wait'})),
			can('alter_subscription') && h('a', {class: 'button', href: link('edit', {id})},
				'Edit'),
			can('alter_subscription') && (isDisabled
				? button('Enable', event => act(event,
					() => post('alter_subscription', {subscription: id, enabled: true}),
					'It is enabled and gets events from now on.'), 'primary')
				: button('Disable', event => act(event, () => disable(s, stat), 'It is disabled.'), '',
				{title: 'Its events are cancelled'})),
			can('recover') && !isDisabled && button('Recover …',
				async () => await recover(id, s.endpoint) && refresh()),
			can('unsubscribe') && button('Unsubscribe', () => shown(() => unsubscribe(s, stat)),
				'danger')),
		offer,
		place,
		h('div', {class: 'grid'},
			card('How it fares', facts, liveControl(signal)),
			card('What it gets', terms(
				['Webhook Endpoint', url(s.endpoint)],
				['Name', s.name], ['Tenant', me.sees_all && s.tenant],
				['Webhook Events', s.events.map(e => h('div', {}, e))],
				['Filter', s.filter && h('code', {}, s.filter)],
				['Headers of its own', Object.keys(s.headers ?? {}).length > 0
					&& Object.entries(s.headers).map(([name, value]) =>
						h('div', {}, h('code', {}, `${name}: ${value}`)))],
				['Request body', s.payload_format],
				['Who caused it', s.include_context && 'Context in the envelope'],
				['Bodies in the log', s.log_bodies],
				['Signatures', s.signature_schemes.join(', ')],
				['Order', s.ordered ? 'a contract’s changes one after the other'
					: 'as fast as possible'],
				['Requests at once', s.max_in_flight],
				['Requests per second', s.rate_limit],
				['Timeout', s.timeout && duration(seconds(s.timeout) * 1000)],
				['Waits between attempts', s.retry_schedule && scheduleText(s.retry_schedule)],
				['Give up after', s.max_age && duration(seconds(s.max_age) * 1000)],
				['Final statuses', s.final_statuses.length > 0 && s.final_statuses.join(', ')],
				['Certificate authorities', s.ca], ['Client certificate', s.client_certificate],
				['Secret', can('secret') && h('span', {class: 'actions'},
					h('span', {class: 'secret', 'aria-hidden': 'true'}, '••••••••'),
					button('Reveal', () => shown(() => reveal(id)), 'small'),
						button('Rotate …', () => shown(() => rotate(id)), 'small'))],
				['Made', time(s.created_at), ` by ${s.created_by}`]))),
		h('nav', {class: 'tabs', 'aria-label': 'More about it'},
			Object.entries(tabs).map(([key, [title]]) =>
			h('a', {href: link('subscription', {id, tab: key === 'calls' ? null : key}),
				'aria-current': key === tab && 'true'}, title))),
		h('div', {class: 'main-part'}, content),
	];
}
