/*
 * form.js
 *	  Fields, and errors at the field that they belong to.
 *
 * A field's name is that of the SQL argument.  The database names the argument that it
 * refuses, and the message stands there; what names none stands above the form.
 */
import {append, fill, h, unique} from './dom.js';

/* A labelled control.  Options: label, name, help, wide or narrow, and the control's
 * attributes. */
export function field({label, name, help, control, wide, narrow, ...attributes})
{
	const id = unique(name);
	const element = control ?? h('input', {type: 'text', ...attributes});

	element.id = id;
	if (name)
		element.setAttribute('name', name);
	element.setAttribute('aria-describedby', `${id}-help ${id}-error`);
	element.addEventListener('input', () => clear(element.closest('.field')));
	return h('div', {class: `field${wide ? ' wide' : ''}${narrow ? ' narrow' : ''}`,
			'data-column': name},
		h('label', {for: id}, label),
		element,
		h('p', {class: 'help', id: `${id}-help`}, help),
		h('p', {class: 'error', id: `${id}-error`}));
}

/* A group of controls that are one argument. */
export function group({label, name, help}, ...children)
{
	const id = unique(name);
	const element = h('fieldset', {class: 'field wide', 'data-column': name, id, tabindex: -1,
			'aria-describedby': `${id}-help ${id}-error`},
		h('legend', {}, label),
		help && h('p', {class: 'help', id: `${id}-help`}, help),
		h('p', {class: 'error', id: `${id}-error`}),
		children);
	element.addEventListener('input', () => clear(element));
	return element;
}

/* A select.  Choices: [value, text], or a text that is both. */
export function select(choices, value, attributes = {})
{
	return h('select', attributes, choices.map(choice =>
	{
		const [key, text] = Array.isArray(choice) ? choice : [choice, choice];
		return h('option', {value: key, selected: String(key) === String(value ?? '')}, text);
	}));
}

export function check(label, properties = {}, about)
{
	return h('label', {class: 'check'}, h('input', {type: 'checkbox', ...properties}),
		h('span', {}, label, about && h('span', {class: 'help'}, about)));
}

function clear(place)
{
	if (!place?.classList.contains('wrong'))
		return;
	place.classList.remove('wrong');
	for (const control of place.querySelectorAll('[aria-invalid]'))
		control.removeAttribute('aria-invalid');
	fill(place.querySelector('.error'));
}

/* An error in words. */
export function words(error)
{
	const first = error.message.replace(/^./u, letter => letter.toUpperCase());
	const line = /[.!?]$/.test(first) ? first : `${first}.`;
	return error.isOlder
		? ['This database lacks the extension, or has an older one.']
		: [line, error.detail, error.hint].filter(Boolean);
}

/* A notice of an error, for a page or above a form. */
export function problem(error)
{
	const [first, ...rest] = words(error);
	return h('div', {class: 'problem', role: 'alert'},
		h('strong', {}, first), rest.map(line => h('p', {}, line)));
}

/* Shows an error at the field that it is about; returns the field, or null if there is none. */
export function mark(form, error, column = error.column)
{
	const place = column && [...form.querySelectorAll('[data-column]')]
		.find(one => one.dataset.column === column);
	if (!place)
		return null;
	clear(place);
	place.classList.add('wrong');
	append(place.querySelector('.error'), words(error).join(' '));
	if (!place.matches('fieldset'))
		place.querySelector('input, select, textarea').setAttribute('aria-invalid', 'true');
	return place;
}

/* Shows an error, and no former one, where it belongs, and moves the focus there. */
export function refuse(form, error, column = error.column)
{
	for (const place of form.querySelectorAll('.wrong'))
		clear(place);
	for (const former of form.querySelectorAll('.problem'))
		former.remove();

	const place = mark(form, error, column);
	if (!place)
	{
		form.prepend(problem(error));
		form.firstChild.tabIndex = -1;
		form.firstChild.focus();
		return;
	}
	for (let outer = place.closest('details'); outer; outer = outer.parentElement.closest('details'))
		outer.open = true;
	(place.querySelector('input, select, textarea') ?? place).focus();
}

/* A form.  save() is called once at a time; what it throws is shown in the form. */
export function form(properties, save, ...children)
{
	let busy = false;
	const element = h('form', {...properties, novalidate: true, autocomplete: 'off',
		onsubmit: async event =>
		{
			event.preventDefault();
			if (busy)
				return;
			busy = true;
			element.setAttribute('aria-busy', 'true');
			try
			{
				await save(element);
			}
			catch (error)
			{
				refuse(element, error, error.field ?? error.column);
			}
			busy = false;
			element.removeAttribute('aria-busy');
		}}, children);
	return element;
}

/* An error that the page itself has found in a field. */
export class WrongField extends Error
{
	constructor(column, message, hint)
	{
		super(message);
		this.column = column;
		this.hint = hint;
	}
}
