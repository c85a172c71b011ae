import type { Page } from 'playwright-core';

/**
 * What of the shown page stands in the way of somebody who does not see it, sees it badly, or has no mouse: sentences, none where all
 * is well. After WCAG 2.2 AA: names (4.1.2), headings and landmarks (1.3.1), contrast (1.4.3, 1.4.11), size of targets (2.5.8).
 */
export async function obstaclesOf(page: Page): Promise<string[]> {
  return (await page.evaluate(audit)) as string[];
}

/** Runs in the page. */
const audit = String.raw`(() => {
  const found = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const isShown = (one) => one.checkVisibility({ visibilityProperty: true }) && one.getClientRects().length > 0;
  const what = (one) => one.outerHTML.slice(0, 90);

  if (document.documentElement.lang === '') found.push('the language is not stated');
  if (all('main').length !== 1) found.push('there is not one main part');
  const levels = all('h1, h2, h3').filter(isShown).map((one) => Number(one.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1 || levels[0] !== 1) found.push('headings ' + levels);
  if (levels.some((level, at) => level > (levels[at - 1] ?? 0) + 1)) found.push('a level of headings is left out: ' + levels);
  if (document.title.split(' · ')[0] !== all('h1').filter(isShown)[0]?.textContent) found.push('title ' + document.title);

  const ids = all('[id]').map(({ id }) => id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push('the id ' + id + ' is there twice');
  for (const name of ['for', 'aria-labelledby', 'aria-describedby'])
    for (const one of all('[' + name + ']'))
      for (const id of one.getAttribute(name).split(' ')) if (!ids.includes(id)) found.push(name + ' names no ' + id);

  const controls = all('a[href], button, input, select, textarea, [tabindex="0"]').filter(isShown);
  for (const one of controls) {
    const labels = [...(one.labels ?? [])].map((label) => label.textContent).join('');
    if ((one.getAttribute('aria-label') ?? (labels || one.textContent)).trim() === '') found.push('no name: ' + what(one));
    const { width, height } = one.getBoundingClientRect();
    const isInText = one.tagName === 'A' && getComputedStyle(one).display === 'inline';
    if (!isInText && one.className !== 'skip' && (width < 24 || height < 24)) found.push('too small: ' + what(one));
    if (one.tabIndex > 0) found.push('an order of its own: ' + what(one));
  }
  for (const one of all('table').filter(isShown)) {
    if (one.getAttribute('aria-label') === null) found.push('a table without a name');
    const heads = one.querySelectorAll('[role=columnheader]').length;
    for (const row of one.tBodies[0].rows) if (row.cells.length !== heads) found.push('a row of other cells');
  }
  for (const [id, name, value] of [['message', 'role', 'status'], ['progress-state', 'aria-live', 'polite']]) {
    const one = document.getElementById(id);
    if (one !== null && one.getAttribute(name) !== value) found.push(id + ' is not told');
  }

  const parts = (color) => color.match(/[\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = parts(color).map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (one) => {
    for (let at = one; at !== null; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if ((parts(color)[3] ?? 1) === 1) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { parentElement: one, textContent } = texts.currentNode;
    if (textContent.trim() === '' || !isShown(one)) continue;
    const { color, fontSize, fontWeight } = getComputedStyle(one);
    const isLarge = parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && Number(fontWeight) >= 700);
    const ratio = contrast(color, behind(one));
    if (ratio < (isLarge ? 3 : 4.5)) found.push('contrast ' + ratio.toFixed(2) + ': ' + what(one));
  }
  for (const one of all('input, select').filter(isShown)) {
    const ratio = contrast(getComputedStyle(one).borderTopColor, behind(one.parentElement));
    if (ratio < 3) found.push('contrast of the border ' + ratio.toFixed(2) + ': ' + what(one));
  }
  if (document.documentElement.scrollWidth > innerWidth) found.push('wider than its window');
  return [...new Set(found)];
})()`;

/**
 * Goes through the page by Tab from its beginning until the keyboard leaves it. @returns what was met, by name, in order.
 * @throws Error where the keyboard does not show where it is, or does not get out.
 */
export async function tabThrough(page: Page): Promise<string[]> {
  // the page's first: where the keyboard would come to from the address bar
  await page.locator('#skip').focus();
  const met: string[] = [];
  for (let presses = 0; presses < 200; presses += 1) {
    if (presses > 0) await page.keyboard.press('Tab');
    const at = (await page.evaluate(here)) as { name: string; outline: string; isOut: boolean; isFirst: boolean };
    if (at.isOut || (at.isFirst && met.length > 0)) return met;
    if (!/^solid [2-9]px/.test(at.outline)) throw new Error(`the keyboard is not seen at ${at.name}: ${at.outline}`);
    met.push(at.name);
  }
  throw new Error(`the keyboard does not get out: ${met.slice(-5).join(', ')}`);
}

const here = `(() => {
  const one = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(one);
  return {
    name: one.getAttribute('aria-label') ?? ([...(one.labels ?? [])][0]?.firstChild.textContent || one.textContent).trim(),
    outline: outlineStyle + ' ' + outlineWidth,
    isOut: one === document.body,
    isFirst: one.id === 'skip',
  };
})()`;
