// What a function throws, by name.
export const thrown = (f) => {
  try {
    f();
    return "nothing";
  } catch (error) {
    return error.name;
  }
};
