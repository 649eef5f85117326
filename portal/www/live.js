/*
 * live.js
 *	  What happens, as it happens: one stream of events a browser, however many tabs.
 *
 * A browser opens six connections to a server at most, and a stream holds one.  So the
 * tabs elect one that has the stream (Web Locks), which tells the others (a
 * BroadcastChannel).  Where there are no Web Locks, each tab has its own.  What it tells
 * has the name of the session that it is of: a tab may still show the one before.
 *
 * Events of "live": tick (the numbers), notice (a state has changed), state (live,
 * paused or lost), failure (there are no numbers, and why), idle (the session will end),
 * end (it has ended), hello (another tab has a session).
 */
import {address, mine, session} from './api.js';

export const live = new EventTarget();
live.state = 'starting';
live.paused = false;
live.last = null;			/* the last tick */
live.ticks = [];			/* those of the last five minutes */
live.notices = [];			/* the last twenty */

export const KEEP_MS = 5 * 60 * 1000;
let channel = null;
let source = null;
let streamed = null;		/* the session that the stream is of; null: it has ended */
let leading = false;
let started = false;

function emit(name, detail)
{
	live.dispatchEvent(new CustomEvent(name, {detail}));
}

function setState(state)
{
	if (live.paused && state === 'live')
		state = 'paused';
	if (state !== live.state)
	{
		live.state = state;
		emit('state', state);
	}
}

/* What the stream, or the tab that has it, says. */
function take({name, data})
{
	if (name === 'tick')
	{
		live.last = data;
		live.ticks.push(data);
		while (live.ticks.length && (data.at - live.ticks[0].at) * 1000 > KEEP_MS)
			live.ticks.shift();
		setState('live');
		if (live.paused)
			return;
	}
	else if (name === 'notice')
	{
		live.notices.unshift({at: new Date().toISOString(), ...data});
		live.notices.length = Math.min(live.notices.length, 20);
	}
	else if (name === 'lost')
	{
		setState('lost');
		return;
	}
	emit(name, data);
}

function hear(said)
{
	if (said.name !== 'end')
		streamed = said.session;
	else if (streamed === said.session)
		streamed = null;
	if (started && said.session === mine)
		take(said);
}

/* The tab that leads says it to all. */
function tell(name, data)
{
	const said = {name, data, session: streamed};
	channel?.postMessage(said);
	hear(said);
}

/* The pages of another session that has the stream hear that it has been replaced. */
function supersede(whose)
{
	if (streamed && streamed !== whose)
		tell('end', {reason: 'signed in anew'});
}

function open(whose)
{
	supersede(whose);
	source?.close();
	streamed = whose;
	const here = source = new EventSource(address('api/live', {session: whose}));
	for (const name of ['tick', 'notice', 'failure', 'idle', 'end'])
		here.addEventListener(name, event =>
		{
			try
			{
				tell(name, JSON.parse(event.data));
			}
			catch
			{
				/* What is no JSON is nothing of ours. */
			}
		});

	/* The browser tries again by itself unless it was refused, and it does not say why. */
	here.addEventListener('error', async () =>
	{
		tell('lost');
		if (here.readyState !== EventSource.CLOSED)
			return;
		let refused = false;
		try
		{
			refused = await session(whose) === null;
		}
		catch
		{
			/* It does not answer; try again. */
		}
		if (source !== here)
			return;
		if (refused)
			tell('end', {reason: 'signed out'});
		else
			setTimeout(() => source === here && open(whose), 3000);
	});
}

/* Begin, when somebody has signed in. */
export function start()
{
	if (started)
		return;
	started = true;
	if (!leading)
		streamed = mine;
	live.last = null;
	live.ticks = [];
	setState('starting');
	if (!channel && 'BroadcastChannel' in window && navigator.locks)
	{
		channel = new BroadcastChannel('webhook');
		channel.onmessage = event =>
		{
			const {name, session: whose} = event.data;
			if (name !== 'hello')
				hear(event.data);
			/* Somebody has signed in elsewhere, maybe with another session. */
			else if (leading && (!source || streamed !== whose))
				open(whose);
			else if (leading && streamed === mine && live.last)
				channel.postMessage({name: 'tick', data: live.last, session: mine});
			else
				streamed = whose;
			if (name === 'hello')
				emit(name);
		};
		navigator.locks.request('webhook.live', () =>
		{
			leading = true;
			if (streamed)
				open(streamed);
			return new Promise(() => {});		/* until this tab is closed */
		});
	}
	else if (!channel || leading)
		open(mine);
	channel?.postMessage({name: 'hello', session: mine});
}

/* This page hears nothing any more; those of other tabs do. */
export function retire()
{
	started = false;
	setState('lost');
}

/* End, when the session has ended. */
export function stop()
{
	retire();
	source?.close();
	source = null;
}

/* End, when this page has replaced the session that all tabs had. */
export function replace()
{
	if (leading)
		supersede(mine);
	stop();
}

/* Stand still: what comes is kept, but not shown. */
export function pause(paused)
{
	live.paused = paused;
	if (live.state === 'live' || live.state === 'paused')
	{
		live.state = '';
		setState('live');
	}
	else
		emit('state', live.state);
	if (!paused && live.last)
		emit('tick', live.last);
}
