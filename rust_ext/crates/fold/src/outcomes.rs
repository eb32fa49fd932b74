const SHORT: usize = 12;

/// One letter for the outcome of each attempt. Few have more than a dozen, so those need no memory of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    len: u32,
    short: [u8; SHORT],
    #[allow(clippy::box_collection)] // a pointer keeps the step small; long ones are rare
    long: Option<Box<String>>,
}

impl Outcomes {
    /// Letter of an attempt under way.
    pub const RUNNING: u8 = b'r';
    /// Letter of one that gave results.
    pub const COMPLETED: u8 = b'c';
    /// Letter of one that failed.
    pub const FAILED: u8 = b'f';
    /// Letter of one whose worker was lost or stopped.
    pub const ABANDONED: u8 = b'a';
    /// Letter of one that waits for something outside.
    pub const WAITING: u8 = b'w';
    /// Letter of a cancelled one.
    pub const CANCELLED: u8 = b'x';
    /// Letter of one whose outcome no longer counts.
    pub const FENCED: u8 = b'z';

    /// Notes that an attempt began.
    pub fn begin(&mut self) {
        match (&mut self.long, self.short.get_mut(self.len as usize)) {
            (Some(long), _) => long.push(char::from(Self::RUNNING)),
            (None, Some(place)) => *place = Self::RUNNING,
            (None, None) => {
                let mut long: String = self.short.iter().copied().map(char::from).collect();
                long.push(char::from(Self::RUNNING));
                self.long = Some(Box::new(long));
            }
        }
        self.len += 1;
    }

    /// Writes the outcome of the latest attempt, if it is still under way.
    pub fn mark(&mut self, letter: u8) {
        if let Some(long) = &mut self.long {
            if long.ends_with(char::from(Self::RUNNING)) {
                long.pop();
                long.push(char::from(letter));
            }
        } else if let Some(last) = (self.len as usize)
            .checked_sub(1)
            .and_then(|last| self.short.get_mut(last))
            && *last == Self::RUNNING
        {
            *last = letter;
        }
    }

    /// Gives the letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.long {
            Some(long) => long,
            // the letters are ASCII, so the default is never taken
            None => std::str::from_utf8(&self.short[..self.len as usize]).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcomes;

    /// Short and long histories of attempts read alike.
    #[test]
    fn any_number_of_attempts_is_kept() {
        let mut outcomes = Outcomes::default();
        outcomes.mark(Outcomes::FAILED);
        assert_eq!(outcomes.as_str(), "");
        let mut expected = String::new();
        for number in 0..40 {
            outcomes.begin();
            expected.push('r');
            assert_eq!(outcomes.as_str(), expected);
            if number % 3 > 0 {
                outcomes.mark(Outcomes::FAILED);
                outcomes.mark(Outcomes::COMPLETED);
                expected.pop();
                expected.push('f');
            }
            assert_eq!(outcomes.as_str(), expected);
        }
    }
}
