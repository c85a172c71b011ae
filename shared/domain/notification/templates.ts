import type { NotificationRequested } from '#events/notification/requested.ts';

/** What a template puts into its text. Dates are shown in UTC; amounts come as the billing service writes them. */
export type Facts = {
  /** The instance's name, as its customer gave it. */
  instance: string;
  /** Where it answers. */
  url: string;
};
type WithOperation = Facts & { operation: string };
type WithBackup = Facts & { backup: string; at: Date };
type WithInvoice = { invoice: string; amount: string; billingUrl: string };

type WithEndpoint = {
  /** The host of its address, and its id: the rest of the address may be a secret. */
  endpoint: string;
  reason: 'gone' | 'failing';
  at: Date;
  /** Null: it never took an event. */
  lastSuccessAt: Date | null;
  /** The calls of the API that let it be told again, and that have sent what it missed. */
  enableCall: string;
  replayCall: string;
};

/** The facts of each template. */
export type TemplateFacts = {
  'instance-provisioning': Facts;
  /** `firstLogin`: a link that shows the first password once; undefined where there is none to show. */
  'instance-ready': Facts & { login: string; firstLogin: { url: string; hours: number } | undefined };
  'instance-failed': WithOperation;
  'instance-started': Facts;
  'instance-stopped': Facts;
  'instance-suspended': Facts;
  'instance-resumed': Facts;
  'instance-terminated': Facts;
  'instance-restored': Facts;
  'backup-completed': WithBackup & { megabytes: number };
  'backup-failed': WithOperation;
  'restore-failed': WithOperation;
  'maintenance-planned': Facts & { from: Date; until: Date };
  'subscription-cancelled': Facts & { endsAt: Date };
  'subscription-expired': Facts & { keptDays: number };
  'subscription-upgraded': Facts & { plan: string };
  'service-terminated': Facts & { keptDays: number };
  'invoice-created': WithInvoice & { dueAt: Date };
  'invoice-paid': WithInvoice;
  'payment-received': WithInvoice;
  'payment-failed': WithInvoice;
  'payment-overdue': WithInvoice & { suspendsAt: Date };
  'payment-reminder': WithInvoice & { dueAt: Date };
  'webhook-disabled': WithEndpoint;
};

export type Template = keyof TemplateFacts;

/** The templates that events ask for now, by name or by what they tell; the others are for the services that will. */
export type MailTemplate = (NotificationRequested['notification'] | 'webhook-disabled') & Template;

/** A paragraph, or a link in one of its own. */
export type Part = string | { link: string; label: string };

/** A text in one language, before it is text or HTML. */
export type Wording = { subject: string; parts: readonly Part[] };

/** All templates in one language, with what stands around them. */
export type Language = {
  /** As HTML names it. */
  tag: string;
  greeting: string;
  closing: string;
  templates: { readonly [Name in Template]: (facts: TemplateFacts[Name]) => Wording };
};
