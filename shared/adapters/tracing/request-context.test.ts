import { describe, expect, it } from 'vitest';
import { traceAttributes } from '#shared/domain/trace/trace-context.ts';
import { contextOf, continueEvent, currentContext, noteInContext, runInContext } from './request-context.ts';

const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

const currentTraceparent = () => traceAttributes(currentContext()).traceparent;

describe('the context of a request', () => {
  it('takes the id and the trace of the sender', () => {
    const context = contextOf({ 'x-request-id': 'order-7731', traceparent: trace });
    expect(context.requestId).toBe('order-7731');
    runInContext(context, () => {
      expect(currentTraceparent()).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
      expect(currentTraceparent()).not.toContain('b7ad6b7169203331');
      expect(currentTraceparent()).toBe(currentTraceparent());
    });
  });

  it('takes the trace from the event when the header is missing', () => {
    expect(contextOf({ 'ce-traceparent': trace }).traceId).toBe('0af7651916cd43dd8448eb211c80319c');
  });

  it('takes the trace of an event whose attributes are in its body', () => {
    runInContext(contextOf({}), () => {
      continueEvent({ traceparent: trace, tracestate: 'a=1' });
      expect(currentTraceparent()).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-/);
      expect(currentContext()).toMatchObject({ parentSpanId: 'b7ad6b7169203331', traceState: 'a=1' });
    });
  });

  it('keeps the trace of the event when a broker has begun another one, and links that', () => {
    const other = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const context = contextOf({ traceparent: other, 'ce-traceparent': trace });
    expect(context.traceId).toBe('0af7651916cd43dd8448eb211c80319c');
    expect(context.link?.traceId).toBe('4bf92f3577b34da6a3ce929d0e0e4736');
  });

  it.each(['', 'a b', 'a'.repeat(129), 'x\u0000', '"'])('makes a new request id for %j', (given) => {
    const [one, other] = [contextOf({ 'x-request-id': given }), contextOf({})];
    expect(one.requestId).toMatch(/^[0-9a-f-]{36}-\d+$/);
    expect(one.requestId).not.toBe(other.requestId);
  });

  it.each([
    '00-00000000000000000000000000000000-b7ad6b7169203331-01',
    '00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01',
    'ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    '00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01',
    'nonsense',
  ])('starts a new trace for %s', (traceparent) => {
    const { traceId, spanId, traceFlags } = contextOf({ traceparent });
    expect(`00-${traceId}-${spanId}-${traceFlags}`).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(traceId).not.toBe('0af7651916cd43dd8448eb211c80319c');
  });

  it('is seen by everything the request awaits, and by nothing else', async () => {
    const seen = await Promise.all(
      ['a', 'b'].map((id) =>
        runInContext(contextOf({ 'x-request-id': id }), async () => {
          await Promise.resolve();
          noteInContext({ operationId: `operation-${id}` });
          await Promise.resolve();
          return [currentContext()?.requestId, currentContext()?.operationId];
        }),
      ),
    );
    expect(seen).toEqual([
      ['a', 'operation-a'],
      ['b', 'operation-b'],
    ]);
    expect(currentContext()).toBeUndefined();
    expect(currentTraceparent()).toBeUndefined();
  });
});
