import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** A function's process that listens. */
export type RunningHost = {
  port: number;
  /** Sends SIGTERM. */
  terminate(): void;
  exited: Promise<{ code: number | null }>;
  /** Ends it, whatever it does. Harmless when it has ended. */
  stop(): Promise<void>;
};

export type EventRequest = { headers: Record<string, string>; body: string };

/** A function under its host. Plug in the real one: what it does is said here, not assumed. */
export type HostedFunction = {
  start(): Promise<RunningHost>;
  /** An event it accepts, new each time, in binary mode; the outcome it answers. */
  good: { make(): EventRequest; outcome: string };
  /** Like `good`, but takes between half a second and five. */
  slow?: { make(): EventRequest };
  /** Events it answers 503 and 500, where it can be made to. */
  unavailable?: { make(): EventRequest };
  bug?: { make(): EventRequest };
  /** An event whose handling leaves an error behind that nobody catches. */
  uncaught?: { make(): EventRequest };
  /** Its events come from a source that is not ours and may add fields. */
  takesExtraFields?: boolean;
  /** Reasons of the events it kept as dead, oldest first. */
  deadReasons(): Promise<string[]>;
};

type Answer = { status: number; headers: Record<string, string>; body: string };

/** What a function does under every host. */
export function hostCoreContract(name: string, hosted: HostedFunction): void {
  describe(`a function under ${name}`, () => {
    const host = runDuring(hosted);
    const send = (event: EventRequest) => post(host().port, event);

    it('does an event in binary mode and answers 204, an empty body and the outcome', async () => {
      expect(await send(hosted.good.make())).toMatchObject({
        status: 204,
        body: '',
        headers: { 'x-outcome': hosted.good.outcome },
      });
    });

    it('does the same event in structured mode', async () => {
      const answer = await send(structuredOf(hosted.good.make()));
      expect(answer).toMatchObject({ status: 204, body: '', headers: { 'x-outcome': hosted.good.outcome } });
    });

    it('does an event without a content type', async () => {
      const { headers, body } = hosted.good.make();
      const { 'content-type': _, ...rest } = headers;
      expect(await send({ headers: rest, body })).toMatchObject({
        status: 204,
        headers: { 'x-outcome': hosted.good.outcome },
      });
    });

    it('echoes the id of the request, or makes one, and says how long it took', async () => {
      const { headers, body } = hosted.good.make();
      const answer = await send({ headers: { ...headers, 'x-request-id': 'order-7731' }, body });
      expect(answer.headers['x-request-id']).toBe('order-7731');
      expect(answer.headers['x-response-time']).toMatch(/^\d+\.\dms$/);
      expect((await send(hosted.good.make())).headers['x-request-id']).toMatch(/^[0-9a-f-]{36}/);
    });

    const spoilings: [string, (event: EventRequest) => EventRequest, string][] = [
      ['another spec version', (event) => withHeader(event, 'ce-specversion', '9.9'), 'specversion is "9.9"'],
      ['an empty id', (event) => withHeader(event, 'ce-id', ''), 'id is empty'],
      ['an unknown type', (event) => withHeader(event, 'ce-type', 'some.type'), 'is not in the catalogue'],
      ['another content type', (event) => withHeader(event, 'content-type', 'text/plain'), 'only JSON is understood'],
      ['an extra field', ({ headers, body }) => ({ headers, body: body.replace('{', '{"extra":1,') }), 'data.extra'],
      ['a batch', ({ body }) => batchOf(body), 'Batches are not accepted'],
    ];
    const isOurs = ([what]: (typeof spoilings)[number]) =>
      what !== 'an extra field' || hosted.takesExtraFields !== true;
    it.each(spoilings.filter(isOurs))('keeps %s with the reason, answers 204 and goes on', async (_, spoil, reason) => {
      const answer = await send(spoil(hosted.good.make()));
      expect(answer).toMatchObject({ status: 204, body: '', headers: { 'x-outcome': 'refused' } });
      expect((await hosted.deadReasons()).at(-1)).toContain(reason);
      expect((await send(hosted.good.make())).headers['x-outcome']).toBe(hosted.good.outcome);
    });

    it('does many at once', async () => {
      const answers = await Promise.all(Array.from({ length: 40 }, () => send(hosted.good.make())));
      expect(new Set(answers.map((answer) => answer.headers['x-outcome']))).toEqual(new Set([hosted.good.outcome]));
    });

    it('answers anything but POST with 405', async () => {
      expect((await get(host().port, '/')).status).toBe(405);
    });

    const { unavailable, bug } = hosted;
    // What a function cannot be made to do is no part of its contract.
    if (unavailable !== undefined)
      it('answers 503 and no body when nothing could be recorded', async () => {
        if (unavailable === undefined) return;
        expect(await send(unavailable.make())).toMatchObject({ status: 503, body: '' });
      });

    if (bug !== undefined)
      it('answers 500 and no body for a bug', async () => {
        if (bug === undefined) return;
        expect(await send(bug.make())).toMatchObject({ status: 500, body: '' });
      });
  });
}

/** What only `serve()` gives. For functions-framework each test asserts what it does instead. */
export function hostOwnContract(name: string, kind: 'serve' | 'functions-framework', hosted: HostedFunction): void {
  const ours = kind === 'serve';
  describe(`${name} by itself`, () => {
    const host = runDuring(hosted);

    it(ours ? 'keeps what is not JSON' : 'answers what is not JSON itself, with 400, and keeps nothing', async () => {
      const before = await hosted.deadReasons();
      const answer = await post(host().port, { ...hosted.good.make(), body: '{"operation":' });
      const added = (await hosted.deadReasons()).slice(before.length);
      expect(answer.status).toBe(ours ? 204 : 400);
      expect(added).toEqual(ours ? ['data is not JSON.'] : []);
      if (!ours) expect(answer.body).toContain('<!DOCTYPE html>');
    });

    it(ours ? 'answers an endless body' : 'reads an endless body into memory and does not answer', async () => {
      const answer = await sendEndless(host().port, hosted.good.make());
      expect(answer).toBe(ours ? 204 : 'no answer');
      if (ours) expect((await hosted.deadReasons()).at(-1)).toContain('larger than 1048576 bytes');
    });

    it(
      ours ? 'keeps idle connections for longer than Knative uses them' : 'closes idle connections after 5 s',
      async () => {
        const { headers } = await post(host().port, hosted.good.make());
        expect(headers['keep-alive']).toBe(ours ? 'timeout=95' : 'timeout=5');
      },
    );

    it(ours ? 'answers probes and shows its numbers' : 'hands probes to the function, which refuses them', async () => {
      for (const path of ['/healthz', '/readyz', '/health/liveness', '/health/readiness', '/metrics']) {
        expect([path, (await get(host().port, path)).status]).toEqual([path, ours ? 200 : 405]);
      }
    });
  });

  const { slow } = hosted;
  if (slow !== undefined)
    describe(`${name} told to end`, () => {
      it(ours ? 'finishes what is in flight and ends with 0' : 'breaks off what is in flight', async () => {
        if (slow === undefined) return;
        const host = await hosted.start();
        try {
          const sent = [slow.make(), slow.make()].map((event) => post(host.port, event).catch(() => undefined));
          await untilTaken(host.port, hosted);
          host.terminate();
          const { code } = await host.exited;
          const statuses = (await Promise.all(sent)).map((answer) => answer?.status);
          if (ours) expect({ statuses, code }).toEqual({ statuses: [204, 204], code: 0 });
          else expect(statuses).not.toContain(204);
          await expect(get(host.port, '/healthz')).rejects.toThrow();
        } finally {
          await host.stop();
        }
      });
    });
}

/** An error nobody caught leaves a process in an unknown state: `serve()` finishes what is in flight and ends. */
export function uncaughtErrorContract(
  name: string,
  kind: 'serve' | 'functions-framework',
  hosted: HostedFunction & Required<Pick<HostedFunction, 'slow' | 'uncaught'>>,
): void {
  const ours = kind === 'serve';
  it(`${name} ${ours ? 'drains and ends with 1' : 'goes on, in whatever state it is,'} after an error that nobody caught`, async () => {
    const host = await hosted.start();
    try {
      const sent = post(host.port, hosted.slow.make()).catch(() => undefined);
      await untilTaken(host.port, hosted);
      await post(host.port, hosted.uncaught.make()).catch(() => undefined);
      if (!ours) {
        // its handler of uncaught errors only logs what comes from a function that has answered
        expect((await post(host.port, hosted.good.make())).status).toBe(204);
        return;
      }
      const { code } = await host.exited;
      expect({ status: (await sent)?.status, code }).toEqual({ status: 204, code: 1 });
    } finally {
      await host.stop();
    }
  });
}

function runDuring(hosted: HostedFunction): () => RunningHost {
  let running: RunningHost | undefined;
  beforeAll(async () => {
    running = await hosted.start();
  });
  afterAll(async () => {
    await running?.stop();
  });
  return () => {
    if (running === undefined) throw new Error('the host did not start');
    return running;
  };
}

/** A process takes requests in the order they come: when later ones were answered, the slow ones were taken. */
async function untilTaken(port: number, hosted: HostedFunction): Promise<void> {
  for (let index = 0; index < 5; index += 1) await post(port, hosted.good.make());
}

const withHeader = ({ headers, body }: EventRequest, name: string, value: string): EventRequest => ({
  headers: { ...headers, [name]: value },
  body,
});

function batchOf(body: string): EventRequest {
  return { headers: { 'content-type': 'application/cloudevents-batch+json' }, body: `[${body}]` };
}

function structuredOf({ headers, body }: EventRequest): EventRequest {
  const attributes = Object.entries(headers)
    .filter(([name]) => name.startsWith('ce-'))
    .map(([name, value]) => [name.slice(3), value]);
  const event = { ...Object.fromEntries(attributes), data: JSON.parse(body) as unknown };
  return { headers: { 'content-type': 'application/cloudevents+json' }, body: JSON.stringify(event) };
}

const get = (port: number, path: string): Promise<Answer> => ask(port, { method: 'GET', path, headers: {}, body: '' });
const post = (port: number, event: EventRequest): Promise<Answer> => ask(port, { method: 'POST', path: '/', ...event });

function ask(port: number, options: EventRequest & { method: string; path: string }): Promise<Answer> {
  const { method, path, headers, body } = options;
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, method, path, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers as Record<string, string>, body: text }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

// More than serve() throws away, and less than fills the memory.
const endlessBytes = 20 * 1024 * 1024;

/** Sends blanks without ever ending the body. The status, or `no answer` when none came for two seconds after the last byte. */
function sendEndless(port: number, { headers }: EventRequest): Promise<number | 'no answer'> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('data', (data) => {
      resolve(Number(data.toString('latin1').split(' ')[1]));
      socket.destroy();
    });
    socket.on('error', () => undefined);
    const lines = Object.entries({ host: 'localhost', 'transfer-encoding': 'chunked', ...headers });
    socket.write(`POST / HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
    const piece = Buffer.alloc(1024 * 1024, ' ');
    for (let sent = 0; sent < endlessBytes; sent += piece.length) {
      socket.write(`${piece.length.toString(16)}\r\n`);
      socket.write(piece);
      socket.write('\r\n', () => {
        if (sent + piece.length < endlessBytes) return;
        void sleep(2_000).then(() => {
          resolve('no answer');
          socket.destroy();
        });
      });
    }
  });
}
