// The module `elias/eiasw`: service workers under the names of the architecture "everything is a service worker".
import { ServiceRegistry, ServiceWorker } from "../workers/services.js";

export { ServiceRegistry, ServiceWorker };

/** A registry for all of the component. */
export const registry = new ServiceRegistry();
