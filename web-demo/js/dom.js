// Small helpers to build the page's elements. All text goes in as text, never as markup; a style is set through
// the CSSOM only, which is what the page's Content-Security-Policy allows.

const SVG = 'http://www.w3.org/2000/svg';

export const $ = (id) => document.getElementById(id);

/** h('p', {class: 'x', 'aria-label': 'y', onclick: f, value: 1}, 'text', child, null) */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) setProp(node, name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function setProp(node, name, value) {
  if (value === null || value === undefined) return;
  if (name === 'class') node.className = value;
  else if (name === 'dataset') Object.assign(node.dataset, value);
  else if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
  else if (name.includes('-') || name === 'role' || name === 'for') node.setAttribute(name, value);
  else node[name] = value;
}

/** One of the symbols that index.html defines. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  const use = document.createElementNS(SVG, 'use');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Writes only what differs, so that nothing is announced or laid out again for the same text. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Keeps a list's length within bounds by dropping its oldest entries. */
export function trim(list, max, end = 'first') {
  while (list.children.length > max) (end === 'first' ? list.firstElementChild : list.lastElementChild).remove();
}

/** Draws the eye to what has just changed. */
export function flash(node) {
  node.classList.remove('flash');
  void node.offsetWidth;
  node.classList.add('flash');
}
