/** What every event has, as headers. */
export const core = { 'ce-specversion': '1.0', 'ce-id': 'id-1', 'ce-source': '/billing', 'ce-type': 'some.type' };
export const binary = { ...core, 'content-type': 'application/json' };
export const structured = { 'content-type': 'application/cloudevents+json' };
/** The same in the body of a structured event. */
export const attributes = { specversion: '1.0', id: 'id-1', source: '/billing', type: 'some.type' };
/** The bytes of a text, or of a value's JSON. */
export const buffer = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
