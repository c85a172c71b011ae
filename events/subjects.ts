import type { SubjectRule } from './envelope.ts';

/** The subject is the instance the event is about. */
export const instanceSubject: SubjectRule<{ instance: string }> = {
  text: 'the instance id',
  strictness: 'required',
  of: (data) => data.instance,
};

/** The subject is the instance id, or absent when there is no instance (yet). */
export const instanceSubjectIfAny: SubjectRule<{ instance: string | null }> = {
  text: 'the instance id; absent when `instance` is null',
  strictness: 'required',
  of: (data) => data.instance ?? undefined,
};

/** For commands from outside: absent, or the instance id the sender chose. */
export const chosenInstanceSubject: SubjectRule<{ instance?: string | undefined }> = {
  text: 'absent, or the instance id when `instance` is given',
  strictness: 'optional',
  of: (data) => data.instance,
};

/** For events of a billing service: absent, or the subscription. */
export const subscriptionSubject: SubjectRule<{ subscription: string }> = {
  text: 'absent, or the subscription id',
  strictness: 'optional',
  of: (data) => data.subscription,
};

/** For events about a customer: absent, or the customer. */
export const customerSubject: SubjectRule<{ customer: string }> = {
  text: 'absent, or the customer id',
  strictness: 'optional',
  of: (data) => data.customer,
};

/** For events of sources that are not ours. */
export function foreignSubject(text: string): SubjectRule<unknown> {
  return { text, strictness: 'free', of: () => undefined };
}
