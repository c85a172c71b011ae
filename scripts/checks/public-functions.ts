/** Functions that people reach from outside, by links: no event comes to them, so they have no Trigger. */
export const publicFunctions: readonly string[] = ['api', 'billing-webhook', 'download'];
