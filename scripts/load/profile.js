// Load of the function api as k6 drives it (https://k6.io; plain JavaScript, since k6 runs it and not Node): a ramp to 10,000
// users, a spike on top of it, then a long soak. On a cluster, from a machine with room for that many connections:
//
//   k6 run -e URL=https://api.example.com -e KEYS_FILE=/path/keys -e INSTANCES_FILE=/path/ids scripts/load/profile.js
//
// KEYS_FILE: API keys, one per line, with the scopes instances:read and instances:write. The limits count per key, 100 reads a
// minute as shipped: bring a key for each 70 users, or raise RATE_LIMIT_READS and RATE_LIMIT_WRITES for the time of the test.
// INSTANCES_FILE: ids of running instances that every key may read, one per line.
// ORDERS=on: one request in a hundred makes a new instance, with all that follows; PLAN says of which plan. Off unless stated.
// VUS and TIME (1 each) scale the users and the durations. k6 ends with 99 when a threshold was missed.
import { check, sleep } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter, Rate, Trend } from 'k6/metrics';

const url = __ENV.URL;
const lines = (file) => (file === undefined ? [] : open(file).split('\n').filter((line) => line !== ''));
const keys = lines(__ENV.KEYS_FILE);
const ids = lines(__ENV.INSTANCES_FILE);
if (url === undefined || keys.length === 0 || ids.length === 0) throw new Error('Set URL, KEYS_FILE and INSTANCES_FILE.');

const users = (count) => Math.max(1, Math.round(count * Number(__ENV.VUS ?? 1)));
const seconds = (count) => `${Math.max(1, Math.round(count * Number(__ENV.TIME ?? 1)))}s`;
const minutes = (count) => seconds(count * 60);
const stage = (duration, count) => ({ duration, target: count === 0 ? 0 : users(count) });

export const options = {
  scenarios: {
    ramp: {
      executor: 'ramping-vus',
      startVUs: 0,
      stages: [
        stage(minutes(2), 100),
        stage(minutes(5), 500),
        stage(minutes(10), 2000),
        stage(minutes(15), 5000),
        stage(minutes(10), 10000),
        stage(minutes(5), 10000),
        stage(minutes(5), 0),
      ],
    },
    spike: {
      executor: 'ramping-vus',
      startTime: minutes(50),
      startVUs: 0,
      stages: [stage(seconds(30), 5000), stage(minutes(1), 5000), stage(seconds(30), 0)],
    },
    soak: { executor: 'constant-vus', startTime: minutes(55), vus: users(1000), duration: minutes(30) },
  },
  thresholds: {
    http_req_duration: ['p(95)<300', 'p(99)<500'],
    http_req_failed: ['rate<0.01'],
    errors: ['rate<0.05'],
    api_latency: ['p(95)<250'],
  },
  summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
};

/** Answers that were not what was asked for, whatever their status. */
const errors = new Rate('errors');
/** Milliseconds of what callers with a key ask. */
const apiLatency = new Trend('api_latency', true);
const writes = new Counter('writes');
const orders = new Counter('orders');

const pick = (list) => list[Math.floor(Math.random() * list.length)];

function seen(answer, isGood) {
  errors.add(!check(answer, { 'is what was asked for': isGood }));
}

/** 3 in 10 have no key. Of all requests 1 in 10 changes something; lists and details stand 1 to 3. */
export default function visit() {
  const chance = Math.random();
  if (chance < 0.3) seen(http.get(`${url}/openapi.json`, { tags: { name: 'document' } }), ({ status }) => status === 200);
  else withKey(chance);
  sleep(1 + 2 * Math.random());
}

function withKey(chance) {
  // each user keeps his key, as people do
  const key = keys[exec.vu.idInTest % keys.length];
  const asked = (name) => ({ headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, tags: { name } });
  const instance = `${url}/v1/instances/${pick(ids)}`;
  let answer;
  if (chance < 0.31 && __ENV.ORDERS === 'on') {
    const name = `load-${exec.vu.idInTest}-${exec.vu.iterationInInstance}-${Date.now().toString(36)}`;
    const wanted = { name, plan: __ENV.PLAN ?? 'small', owner: { email: 'load@example.com' } };
    answer = http.post(`${url}/v1/instances`, JSON.stringify(wanted), asked('order'));
    orders.add(1);
    writes.add(1);
    seen(answer, ({ status }) => status === 202);
  } else if (chance < 0.4) {
    // what is so already: all the work of a change, and no restart of anybody's Odoo
    answer = http.patch(instance, JSON.stringify({ desiredState: 'running' }), asked('change'));
    writes.add(1);
    seen(answer, ({ status }) => status === 200);
  } else if (chance < 0.55) {
    answer = http.get(`${url}/v1/instances?limit=80`, asked('list'));
    seen(answer, (given) => given.status === 200 && given.json('items').length > 0);
  } else {
    answer = http.get(instance, asked('detail'));
    seen(answer, (given) => given.status === 200 && given.json('id') !== undefined);
  }
  apiLatency.add(answer.timings.duration);
}
