import { ask, newKey, read } from './client.js';
import { element, labelled, say, select, show } from './elements.js';

/** A form for a new instance. Whoever is limited to one customer makes it for that one. */
export async function newInstancePage({ caller, signal, fail }) {
  const { items: plans } = await read('v1/plans', { signal });
  if (signal.aborted) return;
  show('New instance', form({ plans, caller, signal, fail }));
}

function form({ plans, caller, signal, fail }) {
  const fields = [
    field('name', 'Name', 'The first part of its address: a to z, digits and "-", beginning with a letter.', {
      maxlength: 40,
      pattern: '[a-z]([a-z0-9\\-]*[a-z0-9])?',
      autocapitalize: 'none',
      spellcheck: 'false',
    }),
    field('email', "Owner's e-mail", 'Becomes the first login. The link for the first password goes there.', {
      type: 'email',
      maxlength: 254,
    }),
    ...(caller.customerId === null
      ? [
          field('customer', 'Customer', 'The id that billing knows.', {
            maxlength: 64,
            pattern: '[A-Za-z0-9][A-Za-z0-9_\\-]*',
            spellcheck: 'false',
          }),
        ]
      : []),
  ];
  const words = plans.map(({ id, cpuMillis, memoryMib, diskGib }) => {
    const cores = (cpuMillis / 1_000).toLocaleString();
    return [id, `${id}: ${cores} CPU, ${memoryMib.toLocaleString()} MiB memory, ${diskGib} GiB disk`];
  });
  const made = element(
    'form',
    { class: 'sheet' },
    ...fields,
    labelled('Plan', select({ name: 'plan', required: true }, words)),
    element(
      'p',
      { class: 'buttons' },
      element('button', { type: 'submit', class: 'main' }, 'Create'),
      element('a', { href: '#/instances' }, 'Back to the list'),
    ),
  );
  // the same wish under the same key, however often it is sent
  let key = newKey();
  made.addEventListener('input', ({ target }) => {
    key = newKey();
    tellMistake(target);
  });
  made.addEventListener('submit', (event) => {
    event.preventDefault();
    void create(made, { key, signal, fail });
  });
  return made;
}

/** A text field with what it is for, and a place for what is wrong with it. */
function field(name, text, hint, attributes) {
  const input = element('input', {
    name,
    id: `field-${name}`,
    required: true,
    autocomplete: 'off',
    title: hint,
    'aria-describedby': `hint-${name} mistake-${name}`,
    ...attributes,
  });
  return element(
    'div',
    { class: 'field' },
    element('label', { for: `field-${name}` }, text),
    input,
    element('p', { class: 'quiet', id: `hint-${name}` }, hint),
    element('p', { class: 'mistake', id: `mistake-${name}` }),
  );
}

async function create(made, { key, signal, fail }) {
  const button = made.querySelector('button');
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  const { email, ...wanted } = Object.fromEntries([...new FormData(made)].map(([name, value]) => [name, value.trim()]));
  try {
    const answer = await ask('POST', 'v1/instances', { body: { ...wanted, owner: { email } }, key });
    const { instanceId } = await answer.json();
    if (!signal.aborted) location.hash = `#/instances/${instanceId}`;
  } catch (error) {
    if (signal.aborted) return;
    if (!tellMistakes(made, error)) fail(error);
  } finally {
    button.removeAttribute('aria-disabled');
  }
}

const inputs = { 'body.name': 'name', 'body.owner.email': 'email', 'body.customer': 'customer', 'body.plan': 'plan' };

/** Writes the server's complaints beside the fields they are about. False when there are none of that kind. */
function tellMistakes(made, { errors = [] }) {
  const told = errors.flatMap(({ field: at, detail }) => {
    const input = made.elements[inputs[at]];
    return input === undefined || input.name === 'plan' ? [] : [[input, detail]];
  });
  for (const [input, detail] of told) tellMistake(input, detail);
  told[0]?.[0].focus();
  if (told.length > 0) say('It was not created: look at the marked field.', 'bad');
  return told.length > 0;
}

function tellMistake(input, text = '') {
  const place = document.getElementById(`mistake-${input.name}`);
  if (place === null) return;
  place.textContent = text;
  if (text === '') input.removeAttribute('aria-invalid');
  else input.setAttribute('aria-invalid', 'true');
}
