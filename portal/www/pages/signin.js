/*
 * pages/signin.js
 *	  Sign in as a role of the database.
 */
import {signIn} from '../api.js';
import {fill, h} from '../dom.js';
import {field, form, problem} from '../form.js';

/* The form alone.  done(session) is called when the server has accepted; it is not asked unless
 * may(user) is true. */
export function signInForm(done, user = '', may = () => true)
{
	const said = h('div');
	const name = field({label: 'User', name: 'user', autocomplete: 'username', value: user,
		autocapitalize: 'none', spellcheck: 'false', required: true, autofocus: !user});
	const password = field({label: 'Password', name: 'password', type: 'password',
		autocomplete: 'current-password', required: true, autofocus: Boolean(user)});
	const element = form({}, async () =>
	{
		const [userInput, passwordInput] = [name, password].map(f => f.querySelector('input'));

		fill(said);
		try
		{
			if (!await may(userInput.value))
				return;
			const here = await signIn(userInput.value, passwordInput.value);
			passwordInput.value = '';
			await done(here);
		}
		catch (error)
		{
			if (!('status' in error))
				throw error;
			fill(said, problem(error));
			passwordInput.select();
			passwordInput.focus();
		}
	}, said, name, password, h('button', {class: 'button primary'}, 'Sign in'));
	element.setAttribute('autocomplete', 'on');
	return element;
}

export function signInPage(enter)
{
	return h('div', {class: 'signin'}, h('div', {class: 'card'},
		h('div', {class: 'mark'}, h('img', {src: 'icon.svg', alt: ''}), h('h1', {}, 'Webhooks')),
		signInForm(enter),
		h('p', {class: 'help'},
			'Use your role in the database. What you see and may do is what the role may.')));
}
