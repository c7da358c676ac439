//! Templates and elements are paired one to one, whatever their order.

/// Templates to elements, one to one, by augmenting paths: however the scenario orders them.
pub(crate) struct Matching {
    /// For each element the template that has it.
    pub(crate) owners: Vec<Option<usize>>,
    fits: Vec<Vec<bool>>,
}

impl Matching {
    pub(crate) fn new(elements: usize) -> Self {
        Self { owners: vec![None; elements], fits: Vec::new() }
    }

    /// Finds an element for one more template, moving others if need be; false when there is none.
    pub(crate) fn add(&mut self, fits: Vec<bool>) -> bool {
        self.fits.push(fits);
        let mut tried = vec![false; self.owners.len()];
        self.place(self.fits.len() - 1, &mut tried)
    }

    fn place(&mut self, template: usize, tried: &mut [bool]) -> bool {
        for element in 0..self.owners.len() {
            if tried[element] || !self.fits[template][element] {
                continue;
            }
            tried[element] = true;
            let free = match self.owners[element] {
                None => true,
                Some(other) => self.place(other, tried),
            };
            if free {
                self.owners[element] = Some(template);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_taken_back() {
        let mut matching = Matching::new(2);
        assert!(matching.add(vec![true, true]));
        assert!(matching.add(vec![true, false]));
        assert_eq!(matching.owners, [Some(1), Some(0)]);
        assert!(!matching.add(vec![true, true]), "there is nothing left");
    }
}
