/*
 * pages/dashboard.js
 *	  What somebody wants to know first in the morning: is all well, and if not, what
 *	  is wrong.  Below it what happens now, and what has happened.
 */
import {Refusal, look} from '../api.js';
import {ago, append, badge, card, count, duration, fill, h, heading, rate, sentence,
	stateOf, table, time} from '../dom.js';
import {problem} from '../form.js';
import {charts, past, ranges} from '../history.js';
import {endpointColumn, reasonOf} from '../list.js';
import {KEEP_MS, live} from '../live.js';
import {link} from '../route.js';
import {liveControl} from '../status.js';

const HEALTH_MS = 2000;		/* between two looks at health(), at least */

/* Where a check of health() leads. */
const links = {
	worker: link('system'), log_writes: link('system'), ring: link('system'), log: link('system'),
	worker_slots: link('system'), ring_read: link('system'), clock: link('system'),
	sending: link('system'), deliveries: link('waiting'),
	breakers: link('subscriptions', {state: 'open'}),
	disabled: link('subscriptions', {state: 'disabled'}),
	fenced: link('subscriptions', {state: 'fenced'}), watches: link('events'),
	unconfirmed: link('subscriptions', {state: 'unconfirmed'}),
};

/* Wrong ones are sentences; what is right is one line that can be unfolded. */
function verdicts(rows)
{
	const wrong = rows.filter(row => !row.ok);
	const item = row => h('li', {},
		h('span', {class: `badge ${row.ok ? 'ok' : 'bad'}`},
			h('span', {class: 'sign', 'aria-hidden': 'true'}, row.ok ? '✓' : '✕'),
				row.ok ? 'good' : 'look here'),
		h('div', {}, h('p', {}, sentence(row.detail), !row.ok && links[row.check_name] && [' ',
			h('a', {href: links[row.check_name]}, 'Show')]),
			row.hint && h('p', {class: 'help'}, row.hint)));

	return card(wrong.length
		? `${wrong.length === 1 ? 'One thing needs' : `${wrong.length} things need`} attention`
			: 'All is well',
		wrong.length > 0 && h('ul', {class: 'verdicts'}, wrong.map(item)),
		h('details', {}, h('summary', {}, `${rows.length - wrong.length} checks are good`),
			h('ul', {class: 'verdicts'}, rows.filter(row => row.ok).map(item))));
}

/* Per second, from two ticks of one worker; null where they tell nothing. */
function speed(later, earlier, key)
{
	if (!later?.worker || !earlier?.worker || later.worker.pid !== earlier.worker.pid
		|| later.at <= earlier.at)
		return null;
	return Math.max(0, (later.worker[key] - earlier.worker[key]) / (later.at - earlier.at));
}

function livePoints()
{
	const list = live.ticks;
	return list.slice(1).map((tick, i) =>
	{
		const before = list[i];
		const delivered = speed(tick, before, 'delivered');
		const failed = speed(tick, before, 'failed');
		const retried = speed(tick, before, 'retrying');
		const all = delivered + failed + retried;
		const answered = tick.busiest.filter(s => s.p50 !== null && s.rate > 0);
		return {at: tick.at * 1000, delivered, failed, retried,
			success: all > 0 ? delivered / all * 100 : null, pending: Number(tick.pending),
			p50: answered.length ? answered.map(s => s.p50).sort((a, b) =>
				a - b)[answered.length >> 1] : null,
			p95: answered.length ? Math.max(...answered.map(s => s.p95)) : null};
	});
}

function tile(term, value, more, {href, word, bad, wrong} = {})
{
	return h(href ? 'a' : 'div', {class: 'tile', href},
		h('div', {class: 'term'}, term),
		h('div', {class: `value${word ? ' word' : ''}${bad ? ' bad' : ''}`}, value),
		h('div', {class: `more${wrong ? ' bad-text' : ''}`}, more));
}

function tiles(tick, tenant)
{
	const {worker, states = {}} = tick;
	const before = live.ticks.findLast(t => t.at < tick.at - 8) ?? live.ticks[0];
	const good = speed(tick, before, 'delivered');
	const bad = speed(tick, before, 'failed') + speed(tick, before, 'retrying');
	const names = Object.entries(states ?? {}).sort((a, b) => b[1] - a[1]);
	const failing = ['open', 'disabled', 'fenced',
		'no worker'].reduce((n, s) => n + (states?.[s] ?? 0), 0);

	return [
		!tick.own && tile('Worker', badge(worker?.state ?? 'no worker'),
			worker?.started_at ? `since ${ago(worker.started_at).replace(' ago', '')}`
			: 'nothing is sent',
			{word: true, href: link('system')}),
		tile('Delivered', good === null ? '–' : `${rate(good)}/s`, `${count(worker?.delivered)} ${tick.own ? 'in all' : 'since it started'}`,
			{href: link('logs', {outcome: 'delivered'})}),
		tile('Not delivered', `${rate(bad)}/s`,
			`${count((worker?.failed ?? 0) + (worker?.retrying ?? 0))} ${tick.own ? 'in all' : 'since it started'}`,
			{href: link('logs', {outcome: 'undelivered'}), bad: bad > 0}),
		tile('Waiting', count(tick.pending), tick.oldest ? `oldest ${ago(tick.oldest)}`
			: 'nothing waits', {href: link('waiting')}),
		!tick.own && tile('In flight', count(worker?.in_flight ?? 0), `${count(worker?.queued ?? 0)} queued`),
		tile('Subscriptions', count(tick.subscriptions),
			failing > 0 ? `✕ ${failing} need${failing === 1 ? 's' : ''} attention`
				: names.slice(0, 3).map(([s, n]) => `${n} ${s}`).join(', ') || 'none yet',
			{href: link('subscriptions'), wrong: failing > 0}),
		tenant && tile('Limits', `${count(tenant.max_subscriptions)}`, ['subscriptions',
			tenant.max_in_flight && `${count(tenant.max_in_flight)} requests at once`,
			tenant.rate_limit && `${tenant.rate_limit} a second`].filter(Boolean).join(', ')),
	];
}

function busiest(tick)
{
	return table({caption: 'Subscriptions',
		note: 'those that need attention first, then the busiest',
		rows: tick.busiest, empty: 'There is no subscription yet.',
		columns: [
			{head: 'No.', class: 'number', cell: s => s.subscription_id},
			endpointColumn(s => link('subscription', {id: s.subscription_id}), reasonOf),
			{head: 'State', class: 'tight', cell: s => badge(stateOf(s))},
			{head: 'Per second', number: true,
				cell: s => rate(s.rate)},
			{head: 'Waiting', number: true, cell: s => count(s.pending)},
			{head: 'Median', number: true, cell: s => duration(s.p50)},
			{head: '95 %', number: true, cell: s => duration(s.p95)},
			{head: 'Delivered', number: true, cell: s => count(s.delivered)},
			{head: 'Failed', number: true, cell: s => count(s.failed)},
			{head: 'Last success', class: 'time',
				cell: s => s.last_success ? time(s.last_success, 'ago') : '–'},
		]});
}

/* State changes, as they come. */
export function notices()
{
	return live.notices.length > 0 && card('State changes', h('ul', {class: 'verdicts'},
		live.notices.slice(0, 8).map(n => h('li', {}, badge(n.state ?? 'changed'),
			h('p', {}, h('a', {href: link('subscription', {id: n.subscription})},
				`Subscription ${n.subscription}`),
				n.until && [' until ', time(n.until)], ' · ', time(n.at, 'ago'))))));
}

export async function dashboard({params, signal, me, can})
{
	const range = Object.hasOwn(ranges, params.get('range')) ? params.get('range') : 'live';
	const healthPlace = h('div');
	const tilesPlace = h('div', {class: 'tiles'});
	const tablePlace = h('div');
	const noticePlace = h('div');
	const chartPlace = h('div');
	const chips = h('nav', {class: 'chips', 'aria-label': 'Time range'},
		[['live', {text: 'Live, 5 min'}], ...Object.entries(ranges)].map(([key, r]) =>
			h('a', {class: 'chip', href: link('', {range: key === 'live' ? null : key}),
				'aria-current': key === range && 'true'}, r.text)));
	let liveCharts = null;

	/* Five minutes up to the last point, however many there are yet. */
	const drawLive = () =>
	{
		const points = livePoints();
		const to = points.at(-1)?.at ?? Date.now();
		liveCharts?.draw(points, {from: to - KEEP_MS, to, step: 2000});
	};

	const drawHealth = async () =>
	{
		if (!can('health'))
			return;
		try
		{
			const rows = await look('health', {}, signal);
			if (!healthPlace.querySelector('details[open]'))
				fill(healthPlace, verdicts(rows));
		}
		catch (error)
		{
			if (!signal.aborted && 'status' in error)
				fill(healthPlace, problem(error));
		}
	};

	/* Many states may change at once; one look after the last of them tells all. */
	let asked = 0;
	const askHealth = async () =>
	{
		if (++asked > 1)
			return;
		await drawHealth();
		setTimeout(() =>
		{
			const again = asked > 1;
			asked = 0;
			if (again && !signal.aborted)
				askHealth();
		}, HEALTH_MS);
	};

	/* Nobody sees what is drawn in a tab that is hidden. */
	const draw = tick =>
	{
		if (!tick || document.hidden)
			return;
		const focused = tilesPlace.contains(document.activeElement)
			|| tablePlace.contains(document.activeElement);
		if (!focused || !tilesPlace.firstChild)
		{
			fill(tilesPlace, tiles(tick, me.caps));
			const left = tablePlace.firstChild?.scrollLeft ?? 0;
			fill(tablePlace, busiest(tick));
			tablePlace.firstChild.scrollLeft = left;
		}
		drawLive();
	};

	const [, pastCharts] = await Promise.all([drawHealth(),
		range === 'live' ? null : past(range, null, signal)]);
	if (range === 'live')
	{
		liveCharts = charts();
		fill(chartPlace, h('div', {class: 'grid'}, liveCharts.elements));
	}
	else
		fill(chartPlace, pastCharts);

	if (live.last)
		draw(live.last);
	else
		fill(tilesPlace, h('div', {class: 'tile'},
			h('div', {class: 'term'}, 'Waiting for the first numbers …')));
	append(noticePlace, notices());
	live.addEventListener('tick', event => draw(event.detail), {signal});
	live.addEventListener('failure', event =>
		fill(tilesPlace, problem(new Refusal(0, event.detail))), {signal});
	live.addEventListener('notice', () =>
	{
		fill(noticePlace, notices());
		if (!document.hidden)
			askHealth();
	}, {signal});
	document.addEventListener('visibilitychange', () =>
	{
		if (document.hidden || live.paused)
			return;
		draw(live.last);
		askHealth();
	}, {signal});
	const timer = setInterval(() => !live.paused && !document.hidden && askHealth(), 30000);
	signal.addEventListener('abort', () => clearInterval(timer));
	requestAnimationFrame(drawLive);

	return [
		heading('Dashboard', null, liveControl(signal)),
		healthPlace,
		tilesPlace,
		chips,
		chartPlace,
		tablePlace,
		noticePlace,
	];
}
