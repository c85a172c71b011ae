import { provisionRequested } from '#events/instance/provision-requested.ts';

/** The event every host is sent: a whole provision request in binary mode, as a broker delivers it. */
export const headers: Readonly<Record<string, string>> = {
  'content-type': 'application/json',
  'ce-specversion': '1.0',
  'ce-id': '0b7c2a2e-5d1f-4f0a-9c63-5a0c2c9c1c11',
  'ce-source': 'urn:bench:user-service',
  'ce-type': provisionRequested.type,
  'ce-subject': String(provisionRequested.subject.of(provisionRequested.example)),
  'ce-time': '2026-11-21T09:30:00.000Z',
  'ce-traceparent': '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
};

export const body: string = JSON.stringify(provisionRequested.example);
