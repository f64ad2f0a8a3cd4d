export let value = 1; export const increment = () => { value++; }; export default "d";
