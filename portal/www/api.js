/*
 * api.js
 *	  Asks the portal's server.
 *
 * A request whose session has ended waits until somebody has signed in again, and is
 * then made once more: nothing that was typed is lost.
 */

/* What the database, or the server, has refused. */
export class Refusal extends Error
{
	constructor(status, fields)
	{
		super(fields.message || `The server answered with status ${status}.`);
		this.status = status;
		this.sqlstate = fields.sqlstate ?? null;
		this.detail = fields.detail ?? null;
		this.hint = fields.hint ?? null;
		this.column = fields.column ?? null;
	}

	/* The database has not got what the statement names. */
	get isOlder()
	{
		return ['42883', '42P01', '42703', '3F000'].includes(this.sqlstate);
	}
}

let signInAgain = null;

/* The name of the session of this page, null if it has none.  Each request says it: another tab
 * may have signed in anew, and this page must not act as somebody else than it shows. */
export let mine = null;

/* A session is that of this page from now on.  Returns it. */
export function be(session)
{
	mine = session?.session ?? null;
	return session;
}

/* Who is asked to sign in again: a function that returns a promise. */
export function onSignedOut(ask)
{
	signInAgain = ask;
}

/* What was refused because there was too much at once, from many tabs for example, is asked
 * for again when the server says, some times. */
async function ask(path, options, again = 8)
{
	let answer;
	try
	{
		answer = await fetch(`api/${path}`, {credentials: 'same-origin', cache: 'no-store',
			redirect: 'error', ...options,
			headers: {...mine && {'Webhook-Session': mine}, ...options?.headers}});
	}
	catch (error)
	{
		if (error.name === 'AbortError')
			throw error;
		throw new Refusal(0, {message: 'The portal does not answer.',
			hint: 'It may be restarting, or the network is down. Try again.'});
	}
	if (answer.status === 429 && again > 0 && path !== 'session')
	{
		const seconds = Number(answer.headers.get('Retry-After')) + Math.random();
		await new Promise(resolve => setTimeout(resolve, seconds * 1000));
		return ask(path, options, again - 1);
	}
	return answer;
}

async function result(answer)
{
	const text = await answer.text();
	let body;
	try
	{
		body = JSON.parse(text);
	}
	catch
	{
		body = {};
	}
	if (!answer.ok)
		throw new Refusal(answer.status, body);
	return body;
}

async function call(path, options)
{
	let answer = await ask(path, options);
	if (answer.status === 401 && signInAgain)
	{
		await signInAgain();
		answer = await ask(path, options);
	}
	return result(answer);
}

/* An address with those parameters that have a value. */
export function address(path, parameters = {})
{
	const search = new URLSearchParams();
	for (const [name, value] of Object.entries(parameters))
		if (value !== null && value !== undefined && value !== '')
			search.set(name, value);
	const text = search.toString();
	return text ? `${path}?${text}` : path;
}

export function get(path, parameters, signal)
{
	return call(address(path, parameters), {signal});
}

/* The same for what nobody has asked for: it does not keep the session alive, and nobody
 * is asked to sign in. */
export async function look(path, parameters, signal)
{
	return result(await ask(address(path, parameters), {signal, headers: {'Webhook-Automatic': '1'}}));
}

function sent(body, headers)
{
	return {method: 'POST', body, headers: {'Content-Type': 'application/json', ...headers}};
}

/* A body that is a text is JSON already. */
export function post(path, body = {})
{
	return call(path, sent(typeof body === 'string' ? body : JSON.stringify(body)));
}

/* The session of the browser, null if there is none; or of that name. */
export async function session(name = '')
{
	const answer = await ask('session', {headers: {'Webhook-Session': name}});
	return answer.status === 401 ? null : result(answer);
}

async function begin(Authorization)
{
	return be(await result(await ask('session', sent('{}', {Authorization}))));
}

export async function signIn(user, password)
{
	const pair = new TextEncoder().encode(`${user}:${password}`);
	const basic = btoa(Array.from(pair, byte => String.fromCharCode(byte)).join(''));
	return begin(`Basic ${basic}`);
}

/* Begins a session for the tenant of a token, which is used up by that. */
export async function enterBy(token)
{
	if (!/^[\w-]{43}$/.test(token))
		throw new Refusal(401, {message: 'the link is not whole'});
	return begin(`Bearer ${token}`);
}

export async function signOut()
{
	return result(await ask('session/end', sent('{}')));
}
