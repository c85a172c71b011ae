import * as v from 'valibot';
import { everyMsOf, isoDurationMs } from './durations.ts';

// What the sandbox reads of each kind, as it stands in YAML. Other fields are a cluster's business.

const name = v.pipe(v.string(), v.regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'is not a Kubernetes name'));
const wholeNumber = v.pipe(v.number(), v.integer(), v.minValue(0));
// annotations are strings in Kubernetes: a bare number is refused by a cluster, and so here
const wholeNumberText = v.pipe(
  v.string('must be a quoted number'),
  v.regex(/^\d+$/, 'must be a whole number'),
  v.transform(Number),
);
const duration = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const ms = isoDurationMs(dataset.value);
    if (ms !== undefined) return ms;
    addIssue({ message: `"${dataset.value}" is not an ISO 8601 duration of hours, minutes and seconds such as PT60S` });
    return NEVER;
  }),
);
const schedule = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const ms = everyMsOf(dataset.value);
    if (ms !== undefined) return ms;
    addIssue({
      message: `"${dataset.value}" is not a schedule the sandbox knows: */N * * * * * (seconds), */N * * * * (minutes), @every Ns`,
    });
    return NEVER;
  }),
);
const serviceReference = v.object({
  ref: v.object({ apiVersion: v.literal('serving.knative.dev/v1'), kind: v.literal('Service'), name }),
});
export const kindSchema = v.object({ apiVersion: v.string(), kind: v.string() });

export const serviceSchema = v.object({
  metadata: v.object({ name }),
  spec: v.object({
    template: v.object({
      metadata: v.object({
        annotations: v.object({
          'autoscaling.knative.dev/min-scale': v.optional(wholeNumberText),
          'autoscaling.knative.dev/max-scale': wholeNumberText,
        }),
      }),
      spec: v.object({
        containerConcurrency: wholeNumber,
        timeoutSeconds: wholeNumber,
        containers: v.tuple([
          v.object({ env: v.optional(v.array(v.object({ name: v.string(), value: v.optional(v.string()) })), []) }),
        ]),
      }),
    }),
  }),
});

export const triggerSchema = v.object({
  metadata: v.object({
    name,
    annotations: v.optional(v.object({ 'rabbitmq.eventing.knative.dev/parallelism': v.optional(wholeNumberText) }), {}),
  }),
  spec: v.object({
    broker: name,
    filter: v.optional(v.object({ attributes: v.optional(v.record(v.string(), v.string()), {}) }), {}),
    filters: v.optional(v.unknown()),
    subscriber: serviceReference,
    delivery: v.object({
      retry: wholeNumber,
      backoffPolicy: v.picklist(['linear', 'exponential']),
      backoffDelay: duration,
      timeout: duration,
      deadLetterSink: serviceReference,
    }),
  }),
});

export const pingSourceSchema = v.object({
  metadata: v.object({ name, namespace: name }),
  spec: v.object({ schedule, contentType: v.string(), data: v.string(), sink: serviceReference }),
});

export const apiServerSourceSchema = v.object({
  spec: v.object({
    mode: v.literal('Resource', 'the sandbox sends whole objects only: write Resource'),
    resources: v.array(
      v.object({
        apiVersion: v.string(),
        kind: v.string(),
        selector: v.object({ matchLabels: v.record(v.string(), v.string()) }),
      }),
    ),
  }),
});
