// Imports of files as text or as bytes; the build embeds them.

declare module "*.html" { const text: string; export default text; }
declare module "*.htm" { const text: string; export default text; }
declare module "*.sql" { const text: string; export default text; }
declare module "*.txt" { const text: string; export default text; }
declare module "*.md" { const text: string; export default text; }
declare module "*.csv" { const text: string; export default text; }
declare module "*.svg" { const text: string; export default text; }
declare module "*.xml" { const text: string; export default text; }
declare module "*.ejs" { const text: string; export default text; }
declare module "*.graphql" { const text: string; export default text; }
declare module "*.gql" { const text: string; export default text; }
declare module "*.bin" { const bytes: Uint8Array; export default bytes; }
/** Any file as text. */
declare module "*?raw" { const text: string; export default text; }
/** Any file as text. */
declare module "*?text" { const text: string; export default text; }
/** Any file as bytes. */
declare module "*?bytes" { const bytes: Uint8Array; export default bytes; }
