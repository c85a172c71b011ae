/** Namespaces whose pods may reach a tenant's Odoo, by their labels. */
export type NamespaceLabels = Readonly<Record<string, string>>;

/** What the objects of every instance in one cluster have in common. */
export type ClusterSettings = {
  /** Where tenants live. */
  namespace: string;
  /** Where the ingress controller and our functions run. */
  clientNamespaces: readonly NamespaceLabels[];
  /** Where DNS is asked; `kube-system` unless stated. */
  dnsNamespace?: NamespaceLabels;
  /** Where the database servers are that are known by name. */
  databaseCidrs?: readonly string[];
  mailRelay?: { host: string; port: number };
  ingressClassName?: string;
  /** Such as the controller's time limits: an Odoo page may take 720 s. */
  ingressAnnotations?: Readonly<Record<string, string>>;
  /** Secret with a certificate for every instance's host; without one the Ingress has no TLS. */
  tlsSecretName?: string;
  /** cert-manager's ClusterIssuer of certificates for customers' own hosts; without one those have no TLS of their own. */
  certificateIssuer?: string;
  storageClassName?: string;
  /** The tenants' ServiceAccount; none of its token is ever mounted. */
  serviceAccountName?: string;
  imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never';
  imagePullSecretName?: string;
  /** Folders with more Odoo modules in the images. */
  addonsPath?: readonly string[];
};
