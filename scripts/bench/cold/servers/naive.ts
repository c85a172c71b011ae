// For functions-framework --target=naive: a function as it is often written, with every library imported at the start.
import { cloudEvent } from '@google-cloud/functions-framework';
import { AppsV1Api, KubeConfig } from '@kubernetes/client-node';
import { HTTP } from 'cloudevents';
import { Redis } from 'ioredis';
import pg from 'pg';
import { pino } from 'pino';
import { request } from 'undici';
import * as v from 'valibot';

const used = [AppsV1Api, KubeConfig, HTTP, Redis, pg.Pool, request, v.object];
const log = pino({ level: 'error' });
cloudEvent('naive', () => {
  log.info({ used: used.length }, 'an event');
});
