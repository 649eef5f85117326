/*
 * app.js
 *	  The frame of all pages: who is signed in, the header, and which page the address
 *	  names.
 *
 * An address is #/page?filter, so whatever is filtered can be sent to somebody else, and
 * the portal works below any path.  A page is a function that returns an element; "signal"
 * is aborted when another page comes.
 */
import {be, enterBy, get, mine, onSignedOut, session, signOut} from './api.js';
import {button, confirm, dialog, fill, h, heading, inUtc, remember, toast} from './dom.js';
import {problem} from './form.js';
import {live, replace, retire, start, stop} from './live.js';
import {link, place, refresh} from './route.js';
import {drawStrip} from './status.js';
import {signInForm, signInPage} from './pages/signin.js';
import {dashboard} from './pages/dashboard.js';
import {subscriptions} from './pages/subscriptions.js';
import {edit} from './pages/edit.js';
import {subscription} from './pages/subscription.js';
import {logs} from './pages/logs.js';
import {delivery} from './pages/delivery.js';
import {waiting} from './pages/waiting.js';
import {failed} from './pages/failed.js';
import {events} from './pages/events.js';
import {audit} from './pages/audit.js';
import {system} from './pages/system.js';

/* Address, title, and the page; whether it is in the header, or under which page; whether it
 * is a form that must not be drawn again, the function that it is of no use without, and the
 * view that it shows. */
const pages = {
	'': {title: 'Dashboard', page: dashboard, nav: true},
	subscriptions: {title: 'Webhook Subscriptions', page: subscriptions, nav: true},
	add: {title: 'Add New Webhook Subscription', page: edit, under: 'subscriptions',
		isForm: true, needs: 'subscribe'},
	edit: {title: 'Edit Webhook Subscription', page: edit, under: 'subscriptions', isForm: true,
		needs: 'alter_subscription'},
	subscription: {title: 'Webhook Subscription', page: subscription, under: 'subscriptions'},
	logs: {title: 'Webhook Logs', page: logs, nav: true},
	delivery: {title: 'Delivery', page: delivery, under: 'logs'},
	waiting: {title: 'Waiting', page: waiting, nav: true},
	failed: {title: 'Failed', page: failed, nav: true},
	events: {title: 'Events', page: events, nav: true},
	audit: {title: 'Audit', page: audit, nav: true},
	system: {title: 'System', page: system, nav: true, reads: 'stat_worker'},
};

const main = document.getElementById('main');
const header = document.getElementById('header');
const strip = document.getElementById('strip');
const app = {me: null, can: () => false};
let showing = null;			/* ends what the page on the screen does */
let asking = null;			/* the dialog to sign in again */
let joinIn = null;			/* makes a session that of this page, in place of its dialog */

async function show(quietly)
{
	const {path, params} = place();
	const known = Object.hasOwn(pages, path) ? pages[path] : null;

	showing?.abort();
	showing = new AbortController();
	const {signal} = showing;

	main.setAttribute('aria-busy', 'true');
	let content;
	try
	{
		content = !known
			? [heading('There is no such page', 'The address may be of another version.'),
				h('p', {}, h('a', {href: link('')}, 'Dashboard'))]
			: known.needs && !app.can(known.needs)
				? [heading(known.title, `Role ${app.me.role} may look, but not do this.`),
					h('p', {}, h('a', {href: link('subscriptions')}, 'Webhook Subscriptions'))]
				: await known.page({params, signal, me: app.me, can: app.can, path});
	}
	catch (error)
	{
		if (signal.aborted)
			return;
		if (!('status' in error))
			console.error(error);
		content = [heading(known.title), problem(error),
			error.status === 401 ? null : h('p', {}, button('Try again', () => show()))];
	}
	if (signal.aborted)
		return;
	main.removeAttribute('aria-busy');
	fill(main, content);
	document.title = `${main.querySelector('h1')?.textContent ?? known?.title} – Webhooks`;
	mark(known?.under ?? path);
	if (!quietly && !main.querySelector('[autofocus]'))
	{
		scrollTo(0, 0);
		main.querySelector('h1')?.focus({preventScroll: true});
	}
	main.querySelector('[autofocus]')?.focus();
}

/* Shows the page again, unless somebody may have typed into it. */
function redraw()
{
	if (!pages[place().path]?.isForm)
		refresh();
}

function mark(path)
{
	for (const one of header.querySelectorAll('nav a'))
		if (one.dataset.page === path)
		{
			one.setAttribute('aria-current', 'page');
			one.scrollIntoView({block: 'nearest', inline: 'nearest'});
		}
		else
			one.removeAttribute('aria-current');
}

/* What the role may do, in a word. */
function kind()
{
	return app.me.tenant ? `tenant ${app.me.tenant}`
		: app.can('subscribe') ? 'administrator' : app.can('pause') ? 'operator' : 'reader';
}

/* Whether they have come with a token. */
function byToken()
{
	return Boolean(app.me?.tenant) && app.me.acts;
}

function drawHeader()
{
	const zone = button(inUtc() ? 'UTC' : 'Local time', () =>
	{
		remember('zone', inUtc() ? 'local' : 'utc');
		drawHeader();
		redraw();
	}, 'quiet small', {title: inUtc() ? 'Show times of this browser' : 'Show times in UTC'});

	fill(header, h('div', {class: 'inner'},
		h('a', {class: 'brand', href: '#/', 'aria-label': 'Webhooks, Dashboard'},
			h('img', {src: 'icon.svg', alt: ''})),
		h('nav', {'aria-label': 'Pages'}, Object.entries(pages)
			.filter(([, p]) => p.nav && (!p.reads || app.me.reads?.[p.reads] !== false))
			.map(([path, p]) => h('a', {href: link(path), 'data-page': path}, p.title))),
		h('div', {class: 'who'},
			zone,
			/* Who has come with a token does not know the portal's own role. */
			byToken() ? h('div', {class: 'role'}, h('strong', {title: kind()}, kind()),
				app.me.database)
				: h('div', {class: 'role'}, h('strong', {title: app.me.role}, app.me.role),
					`${kind()} · ${app.me.database}`),
			button('Sign out', leave, 'small'))));
	header.hidden = false;
	mark(pages[place().path]?.under ?? place().path);
}

async function leave()
{
	await signOut().finally(() =>
	{
		stop();
		location.reload();
	});
}

/* Somebody has signed in. */
async function enter()
{
	app.me = await get('me');
	if (app.me.sees_all === false && app.me.reads?.tenant)
	{
		app.me.caps = (await get('tenants')).rows[0];
		app.me.tenant = app.me.caps?.name;
	}
	app.can = name => app.me.may?.[name] === true;
	drawHeader();
	start();
	drawStrip(strip, app.me.standby);
	await show();
}

/* A dialog that Escape does not close. */
function keep(box)
{
	box.addEventListener('cancel', event => event.preventDefault());
}

/*
 * The session has ended under somebody's hands: they sign in again above the page, and
 * what they have typed stays there.  It is enough if they do so in one of their tabs.
 * Another role gets pages of its own, for which what was typed is given up.
 */
function signInAgain()
{
	if (byToken())
		return asking ??= dialog('The session has ended', (close, box) =>
		{
			keep(box);
			return [h('p', {}, 'It was ended, or its time is over. Open the portal anew from ' +
				'where you came. What you have typed is still here until you leave this page.'),
			h('div', {class: 'actions end'}, button('Leave', () => location.reload(), 'primary',
				{autofocus: true}))];
		});
	asking ??= dialog('Sign in again', (close, box) =>
	{
		keep(box);
		joinIn = here =>
		{
			be(here);
			start();
			close(true);
		};
		return [h('p', {}, 'Your session has ended. What you have typed is still here.'),
			signInForm(here =>
			{
				/* What waits for this was asked for as the former role. */
				if (app.me && here.role !== app.me.role)
					location.reload();
				else
					joinIn(here);
			}, app.me?.role, role => !app.me || role === app.me.role || confirm(`Sign in as ${role}?`,
				`This page is of ${app.me.role}. What was typed into it is lost.`,
				'Sign in'))];
	}).then(() => { asking = joinIn = null; });
	join();
	return asking;
}

/* Who is asked to sign in again, and has done so in another tab, is not asked any more. */
async function join()
{
	const here = joinIn && await session().catch(() => null);
	if (here && !here.token && here.role === app.me?.role)
		joinIn?.(here);
}

/* A token in the address, which "back" replaces at once; null: there is none. */
function takeToken(back)
{
	const [, token] = location.hash.match(/^#\/?enter\/(.*)$/) ?? [];
	if (token !== undefined)
		history.replaceState(null, '', back);
	return token ?? null;
}

/* Somebody has come with a token; whoever was signed in in this browser no longer is.  Anybody
 * who has a tenant can make a link: who is signed in says whether they leave that for it. */
async function enterWith(token)
{
	try
	{
		const here = await session();
		if (here && !await confirm('Open the portal by this link?', [
			`You are signed in as ${here.role}. Open the portal for the tenant of this link?`,
			'It signs you out. Stay if you do not know where the link is from.'],
		'Open for the tenant', 'primary'))
		{
			/* What is on the screen stays there, with what was typed. */
			if (!app.me)
				await begin();
			return;
		}
		retire();
		history.replaceState(null, '', link(''));
		await enterBy(token);
		replace();
	}
	catch (error)
	{
		retire();
		header.hidden = true;
		strip.hidden = true;
		app.me = null;
		document.title = 'This link cannot be used – Webhooks';
		fill(main, heading('This link cannot be used',
			'It opens the portal once, soon after it was made. Open the portal anew from where ' +
			'you came.'), problem(error));
		return;
	}
	if (app.me)
		location.reload();
	else
		await begin();
}

async function begin()
{
	const token = takeToken(link(''));
	fill(main, h('p', {class: 'about'}, 'One moment …'));
	if (token !== null)
	{
		await enterWith(token);
		return;
	}
	try
	{
		if (be(await session()))
		{
			await enter();
			return;
		}
	}
	catch (error)
	{
		fill(main, heading('Webhooks'), problem(error), h('p', {class: 'actions'},
			button('Try again', begin), mine && button('Sign out', leave)));
		return;
	}
	document.title = 'Sign in – Webhooks';
	fill(main, signInPage(enter));
	main.querySelector('input').focus();
}

onSignedOut(() => signInAgain());
live.addEventListener('state', () => app.me && drawStrip(strip, app.me.standby));
live.addEventListener('end', () =>
{
	stop();
	if (app.me)
		signInAgain().then(redraw);
});
live.addEventListener('hello', join);
live.addEventListener('idle', async event =>
{
	if (document.querySelector('dialog[open]'))
		return;
	const stay = await dialog('Are you still there?', close => [
		h('p', {}, `The session ends in ${Math.round((event.detail?.seconds ?? 120) / 60)} minutes, ` +
			'because nothing was done for a while.'),
		h('div', {class: 'actions end'}, button('Stay signed in', () => close(true), 'primary',
			{autofocus: true}))]);
	if (stay !== null)
		await get('me').catch(() => toast('The session has ended.', 'bad'));
});
document.getElementById('skip').addEventListener('click', event =>
{
	event.preventDefault();
	(main.querySelector('h1') ?? main).focus();
});
addEventListener('hashchange', event =>
{
	const token = takeToken(new URL(event.oldURL).hash || link(''));
	if (token !== null)
		enterWith(token);
	else if (app.me)
		show();
});
addEventListener('refresh', () => app.me && show(true));
begin();
