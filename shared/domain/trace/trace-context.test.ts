import { expect, test } from 'vitest';
import { continuedTrace, isSampled, parseTrace, traceAttributes } from './trace-context.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const parent = `00-${traceId}-b7ad6b7169203331-01`;
const at = (text: string, state?: string) => {
  const trace = parseTrace(text, state);
  if (trace === undefined) throw new Error(`${text} is no trace`);
  return trace;
};

test('what was read is said the same way again', () => {
  const trace = at(parent, 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7');
  expect(traceAttributes(trace)).toEqual({
    traceparent: parent,
    tracestate: 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7',
  });
  expect(isSampled(trace)).toBe(true);
  expect(isSampled(at(parent.replace(/01$/, '00')))).toBe(false);
  expect(traceAttributes(undefined)).toEqual({});
});

test('a later version is read as far as it is known', () => {
  expect(at(`cc-${traceId}-b7ad6b7169203331-01-what-the-future-holds`).traceId).toBe(traceId);
});

test.each(['x'.repeat(513), 'no equals sign', 'a=\u0000', 'Ä=1'])('a state such as %j is not passed on', (state) => {
  expect(at(parent, state).traceState).toBeUndefined();
});

test('of one trace the header is nearer, and the event says whether it is recorded', () => {
  const header = at(`00-${traceId}-00f067aa0ba902b7-00`);
  expect(continuedTrace(header, at(parent))).toEqual({
    parent: { ...header, traceFlags: '01', traceState: undefined },
    link: undefined,
  });
});

test('of two traces the event’s goes on, and the one of the way is linked', () => {
  const header = at('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
  expect(continuedTrace(header, at(parent))).toEqual({ parent: at(parent), link: header });
  expect(continuedTrace(header, undefined)).toEqual({ parent: header, link: undefined });
  expect(continuedTrace(undefined, at(parent))).toEqual({ parent: at(parent), link: undefined });
});
