/*
 * live.js
 *	  What happens, as it happens: one stream of events a browser, however many tabs.
 *
 * A browser opens six connections to a server at most, and a stream holds one.  So the
 * tabs elect one that has the stream (Web Locks), which tells the others (a
 * BroadcastChannel).  Where there are no Web Locks, each tab has its own.
 *
 * Events of "live": tick (the numbers), notice (a state has changed), state (live,
 * paused or lost), failure (there are no numbers, and why), idle (the session will end),
 * end (it has ended).
 */
import {session} from './api.js';

export const live = new EventTarget();
live.state = 'starting';
live.paused = false;
live.last = null;			/* the last tick */
live.ticks = [];			/* those of the last five minutes */
live.notices = [];			/* the last twenty */

export const KEEP_MS = 5 * 60 * 1000;
let channel = null;
let source = null;
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

/* The tab that leads says it to all. */
function tell(name, data)
{
	take({name, data});
	channel?.postMessage({name, data});
}

function open()
{
	if (!started)
		return;
	source?.close();
	source = new EventSource('api/live');
	for (const name of ['tick', 'notice', 'failure', 'idle', 'end'])
		source.addEventListener(name, event =>
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
	source.addEventListener('error', async () =>
	{
		tell('lost');
		if (source?.readyState !== EventSource.CLOSED)
			return;
		let refused = false;
		try
		{
			refused = await session() === null;
		}
		catch
		{
			/* It does not answer; try again. */
		}
		if (refused)
			tell('end', {reason: 'signed out'});
		else
			setTimeout(open, 3000);
	});
}

/* Begin, when somebody has signed in. */
export function start()
{
	if (started)
		return;
	started = true;
	live.last = null;
	live.ticks = [];
	setState('starting');
	if (!channel && 'BroadcastChannel' in window && navigator.locks)
	{
		channel = new BroadcastChannel('webhook');
		channel.onmessage = event =>
		{
			if (event.data.name === 'hello')
			{
				/* Somebody has signed in again elsewhere, with the session of all tabs. */
				if (leading && !source)
				{
					started = true;
					open();
				}
				else if (leading && live.last)
					channel.postMessage({name: 'tick', data: live.last});
			}
			else if (started)
				take(event.data);
		};
		navigator.locks.request('webhook.live', () =>
		{
			leading = true;
			open();
			return new Promise(() => {});		/* until this tab is closed */
		});
	}
	else if (!channel || leading)
		open();
	channel?.postMessage({name: 'hello'});
}

/* End, when the session has ended. */
export function stop()
{
	started = false;
	source?.close();
	source = null;
	setState('lost');
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
